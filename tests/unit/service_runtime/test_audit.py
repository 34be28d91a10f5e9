"""What is told of a call: its action, its objects and its fields, and never what stands in them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api import httpbody_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    person_service_pb2,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
)
from dfip.options.v1 import policy_pb2
from service_runtime.audit import (
    AuditedCall,
    AuditObject,
    Refusal,
    action_of,
    current_change,
    fields_of,
    objects_of,
)
from service_runtime.authentication import TokenVerifier
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.errors import NotFound, Unavailable
from service_runtime.method_policy import MethodPolicyMissing, read_rules
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from tests.support.refusals import refused
from tests.support.tokens import TestAuthority

CAMERAS: Any = control_plane_service_pb2.DESCRIPTOR.services_by_name["ControlPlaneService"]
PEOPLE: Any = person_service_pb2.DESCRIPTOR.services_by_name["PersonService"]


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("UpdateCamera", "camera.update"),
        ("SetCameraStatus", "camera_status.set"),
        ("IssueWorkerToken", "worker_token.issue"),
        ("Connect", "connect"),
    ],
)
def test_an_action_is_the_noun_and_the_verb(method: str, action: str) -> None:
    assert action_of(method) == action


def test_objects_are_what_the_path_names() -> None:
    request = person_service_pb2.DeleteFaceRequest(person_id="P", face_id="F" * 100)
    found = objects_of(PEOPLE.methods_by_name["DeleteFace"], request)
    assert found == (AuditObject(kind="person", id="p"), AuditObject(kind="face", id="f" * 64))


def test_objects_without_a_path_are_the_ids_of_the_request() -> None:
    method = CAMERAS.methods_by_name["IssueWorkerToken"]
    request = control_plane_service_pb2.IssueWorkerTokenRequest(camera_id="c")
    assert objects_of(method, request) == (AuditObject(kind="camera", id="c"),)
    create = control_plane_service_pb2.CreateCameraRequest(name="door", request_id="r")
    assert objects_of(CAMERAS.methods_by_name["CreateCamera"], create) == ()


def test_fields_are_told_by_name_alone() -> None:
    request = control_plane_service_pb2.UpdateCameraRequest(
        camera_id="c", name="door", connection_string="rtsp://a:hunter2@b", etag="1"
    )
    assert fields_of(CAMERAS.methods_by_name["UpdateCamera"], request) == (
        "name",
        "connection_string",
    )


def _service(*, audit: int, client_streaming: bool = False) -> Any:
    """Make a contract with one RPC."""
    file = descriptor_pb2.FileDescriptorProto(name="x.proto", package="x", syntax="proto3")
    file.message_type.add(name="M")
    method = file.service.add(name="S").method.add(
        name="GetThing", input_type=".x.M", output_type=".x.M", client_streaming=client_streaming
    )
    options: Any = method.options
    options.Extensions[policy_pb2.policy].roles.append(policy_pb2.ROLE_VIEWER)
    options.Extensions[policy_pb2.policy].audit = audit
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("x.S")


def test_an_rpc_that_does_not_say_its_trace_stops_the_service_from_starting() -> None:
    assert read_rules([_service(audit=policy_pb2.AUDIT_NONE)])
    with pytest.raises(MethodPolicyMissing, match="AUDIT_NONE, AUDIT_CHANGE or AUDIT_LOOK"):
        read_rules([_service(audit=policy_pb2.AUDIT_UNSPECIFIED)])
    with pytest.raises(MethodPolicyMissing, match="stream"):
        read_rules([_service(audit=policy_pb2.AUDIT_CHANGE, client_streaming=True)])


class Trail:
    """Remembers, and can be full."""

    def __init__(self) -> None:
        self.changes: list[AuditedCall] = []
        self.looks: list[AuditedCall] = []
        self.refusals: list[Refusal] = []
        self.is_full = False

    async def changed(self, call: AuditedCall) -> None:
        self._require_room()
        self.changes.append(call)

    async def looked(self, call: AuditedCall) -> None:
        self._require_room()
        self.looks.append(call)

    def refused(self, refusal: Refusal, *, request_id: str) -> None:
        assert request_id
        self.refusals.append(refusal)

    def _require_room(self) -> None:
        if self.is_full:
            raise Unavailable("DISK_FULL", "No trace can be left.")


class Cameras(control_plane_service_pb2_grpc.ControlPlaneServiceServicer):
    """Deletes nothing, unless it is missing; leaves its trace itself where told to."""

    async def DeleteCamera(
        self, request: control_plane_service_pb2.DeleteCameraRequest, _context: object
    ) -> control_plane_service_pb2.DeleteCameraResponse:
        call = current_change()
        assert call is not None
        if request.camera_id == "missing":
            raise NotFound("CAMERA_NOT_FOUND", "No camera has this id.")
        call.written = request.camera_id == "written"
        return control_plane_service_pb2.DeleteCameraResponse(success=True)

    async def GetCamera(
        self, _request: object, _context: object
    ) -> control_plane_service_pb2.GetCameraResponse:
        assert current_change() is None
        return control_plane_service_pb2.GetCameraResponse(success=True)


class Pictures(sighting_service_pb2_grpc.SightingServiceServicer):
    async def GetSightingImage(self, _request: object, _context: object) -> httpbody_pb2.HttpBody:
        assert current_change() is None
        return httpbody_pb2.HttpBody(data=b"a face")


class Site:
    def __init__(self, server: Server, authority: TestAuthority, trail: Trail) -> None:
        self.trail = trail
        self._server = server
        self._authority = authority

    async def call(self, method: str, request: Any, *, role: str = "admin", **claims: Any) -> Any:
        token = StaticToken(Secret(self._authority.token(role, sub="Ada", jti="t1", **claims)))
        async with open_channel(self._server.address, token=token) as channel:
            stubs = (
                control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel),
                sighting_service_pb2_grpc.SightingServiceStub(channel),
            )
            (stub,) = (stub for stub in stubs if hasattr(stub, method))
            return await getattr(stub, method)(
                request, metadata=[("x-dfip-client-address", "198.51.100.4")]
            )

    async def delete(self, camera_id: str, **more: Any) -> Any:
        request = control_plane_service_pb2.DeleteCameraRequest(camera_id=camera_id)
        return await self.call("DeleteCamera", request, **more)

    async def look(self) -> Any:
        request = sighting_service_pb2.GetSightingImageRequest(sighting_id="s")
        return await self.call("GetSightingImage", request)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    authority, clock, trail = TestAuthority(tmp_path), SystemClock(), Trail()
    server = Server(
        room="control_plane",
        listen=f"unix:{tmp_path}/s.sock",
        bindings=[
            Binding.of(control_plane_service_pb2, control_plane_service_pb2_grpc, Cameras()),
            Binding.of(sighting_service_pb2, sighting_service_pb2_grpc, Pictures()),
        ],
        verifier=TokenVerifier(authority.jwks_file, clock),
        clock=clock,
        trail=trail,
    )
    await server.start()
    yield Site(server, authority, trail)
    await server.stop(0)


async def test_a_change_leaves_its_trace_once(site: Site) -> None:
    await site.delete("c")
    await site.delete("written")  # in the transaction of the change
    (call,) = site.trail.changes
    assert (call.action, call.caller.subject, call.client_address) == (
        "camera.delete",
        "Ada",
        "198.51.100.4",
    )
    assert call.objects == (AuditObject(kind="camera", id="c"),)


async def test_a_change_that_fails_and_a_plain_read_leave_none(site: Site) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await site.delete("missing")
    await site.call("GetCamera", control_plane_service_pb2.GetCameraRequest(camera_id="c"))
    assert (site.trail.changes, site.trail.looks, site.trail.refusals) == ([], [], [])


async def test_a_look_is_noted_before_the_answer_leaves(site: Site) -> None:
    assert (await site.look()).data == b"a face"
    assert [call.action for call in site.trail.looks] == ["sighting_image.get"]


async def test_without_a_trace_there_is_no_answer(site: Site) -> None:
    site.trail.is_full = True
    with refused(grpc.StatusCode.UNAVAILABLE, "DISK_FULL"):
        await site.look()
    with refused(grpc.StatusCode.UNAVAILABLE, "DISK_FULL"):
        await site.delete("c")


async def test_who_is_refused_is_noted(site: Site) -> None:
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        await site.delete("c", role="viewer")
    with refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"):
        await site.delete("c", lifetime_s=-60)
    assert site.trail.refusals == [
        Refusal(
            reason="ROLE_NOT_ALLOWED",
            action="camera.delete",
            subject="Ada",
            role="viewer",
            token_id="t1",
            client_address="198.51.100.4",
        ),
        Refusal(reason="TOKEN_EXPIRED", action="camera.delete", client_address="198.51.100.4"),
    ]
