"""What the edge reads from the contracts, and the descriptors that it hands to Envoy."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from deploy.envoy.contracts import EdgeMethod, RestBinding, descriptor_set, edge_methods

ROOMS = ("camera_manager", "control_plane", "identity_index")


def by_name() -> dict[str, EdgeMethod]:
    return {method.name: method for method in edge_methods(ROOMS)}


def test_creates_are_recognised_by_name_and_verb() -> None:
    methods = by_name()
    creating = {
        name
        for name, method in methods.items()
        if any(method.creates(binding) for binding in method.bindings)
    }
    assert {"CreateCamera", "CreatePerson", "AddFace", "IssueToken"} <= creating
    assert not creating & {"ReportHeartbeat", "RetryCamera", "ListCameras", "RestartWorker"}


def test_a_custom_verb_on_a_thing_never_creates() -> None:
    method = by_name()["CreateCamera"]
    assert not method.creates(RestBinding(verb="POST", template="/cameras/{camera_id}:copy"))


def test_a_custom_verb_on_a_collection_adds_to_it() -> None:
    method = by_name()["AddFaceFromSighting"]
    (binding,) = method.bindings
    assert binding.template == "/persons/{person_id}/faces:from-sighting"
    assert method.creates(binding)
    assert not by_name()["MergePersons"].creates(by_name()["MergePersons"].bindings[0])


def test_a_streamed_list_ends_and_a_watch_does_not() -> None:
    methods = by_name()
    assert not methods["ListCameras"].endless
    assert not methods["GetCamera"].endless
    for name in ("StreamEvents", "WatchEvents", "WatchCameras", "Connect", "Identify"):
        assert methods[name].endless


def test_raw_bodies_are_recognised() -> None:
    methods = by_name()
    taking_pictures = {name for name, method in methods.items() if method.raw_request}
    assert taking_pictures == {"AddFace", "SearchByPhoto"}
    assert methods["GetSightingImage"].raw_response


def test_rpcs_without_rest_have_no_binding() -> None:
    methods = by_name()
    assert methods["ReportRuntimes"].bindings == ()
    assert methods["WatchFaces"].bindings == ()


def test_an_unknown_room_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError):
        edge_methods(["nobody"])


def test_the_descriptor_set_is_complete_and_ordered() -> None:
    found = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set(ROOMS))
    pool = descriptor_pool.DescriptorPool()
    for file in found.file:
        pool.Add(file)
    names = [file.name for file in found.file]
    for file in found.file:
        assert set(file.dependency) <= set(names[: names.index(file.name)])
    for method in edge_methods(ROOMS):
        service = pool.FindServiceByName(method.service)
        assert method.name in service.methods_by_name
    assert "google/rpc/error_details.proto" in names


def test_the_descriptor_set_is_the_same_each_time() -> None:
    assert descriptor_set(ROOMS) == descriptor_set(reversed(ROOMS))
