"""Every change leaves exactly one audit row, whatever made it; looks and refusals leave theirs."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from dfip.control_plane.v1 import (
    audit_service_pb2,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    person_service_pb2,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
)
from dfip.options.v1 import policy_pb2
from service_runtime.method_policy import read_rules
from tests.contract.services import SERVICES
from tests.support.audited_changes import alerts, cameras, people, site, webhooks
from tests.support.audited_changes.walk import NOTE, PASSWORD, Changes, Walk
from tests.support.people import running_people_site
from tests.support.refusals import refused
from tests.support.sightings import CONTEXT, CROP, Reports, report

CHANGES: Changes = (
    cameras.CHANGES | people.CHANGES | alerts.CHANGES | webhooks.CHANGES | site.CHANGES
)


@pytest.fixture
async def walk(tmp_path: Path, database_engine: str) -> AsyncIterator[Walk]:
    del database_engine  # chosen, for the control plane
    async with running_people_site(tmp_path) as people:
        yield Walk(people)


def test_every_change_is_walked() -> None:
    services = [b.descriptor for b in SERVICES if "dfip.control_plane." in b.descriptor.full_name]
    changes = {
        path.rpartition(".")[2]
        for path, rule in read_rules(services).items()
        if rule.audit == policy_pb2.AUDIT_CHANGE
    }
    assert changes == CHANGES.keys(), "a change is called by nobody here: add how to CHANGES"


async def test_a_change_leaves_exactly_one_entry(walk: Walk, subtests: pytest.Subtests) -> None:
    for name, (action, change) in CHANGES.items():
        with subtests.test(name):
            earlier = {entry.id for entry in await walk.entries(action=action)}
            about, within = await change(walk)
            after = await walk.entries(action=action)
            (entry,) = [entry for entry in after if entry.id not in earlier]
            assert (entry.outcome, entry.count) == ("done", 1)
            assert (entry.actor, entry.token_id != "") == (f"test-{entry.role}", True)
            assert (entry.object.kind, entry.object.id) == about
            assert (entry.within.kind, entry.within.id) == within


async def test_entries_tell_no_values(walk: Walk) -> None:
    camera_id = await walk.camera()
    await walk.cameras.UpdateCamera(
        control_plane_service_pb2.UpdateCameraRequest(
            camera_id=camera_id, connection_string=f"rtsp://root:{PASSWORD}@10.0.0.9/t"
        )
    )
    person_id, _ = await walk.face()
    await walk.people.persons.DeletePerson(
        person_service_pb2.DeletePersonRequest(person_id=person_id)
    )
    entries = await walk.entries()
    (updated,) = [entry for entry in entries if entry.action == "camera.update"]
    assert list(updated.fields) == ["connection_string"]
    text = "".join(str(entry) for entry in entries)
    assert len(entries) == 5
    assert not [word for word in (PASSWORD, NOTE, "Ada", "rtsp") if word in text]
    assert {e.action for e in await walk.entries(object_id=person_id)} == {
        "person.create",
        "face.add",
        "person.delete",
    }


async def test_a_change_that_is_refused_by_the_domain_leaves_no_entry(walk: Walk) -> None:
    nobody = str(uuid.uuid4())
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await walk.cameras.DeleteCamera(
            control_plane_service_pb2.DeleteCameraRequest(camera_id=nobody)
        )
    assert await walk.entries() == []


async def test_who_may_not_leaves_an_entry_and_a_flood_leaves_one(walk: Walk) -> None:
    viewer: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        walk.site.channel("viewer")
    )
    stranger: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        walk.site.channel(token="nonsense")
    )
    request = control_plane_service_pb2.DeleteCameraRequest(camera_id=str(uuid.uuid4()))
    for _ in range(20):
        with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            await viewer.DeleteCamera(request)
        with refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"):
            await stranger.DeleteCamera(request)
    await walk.site.control_plane.flush_audit()
    entries = await walk.entries(outcome="refused")
    counts: dict[tuple[str, str, str], int] = {}
    for entry in entries:
        key = (entry.reason, entry.actor, entry.action)
        counts[key] = counts.get(key, 0) + entry.count
    assert counts == {
        ("ROLE_NOT_ALLOWED", "test-viewer", "camera.delete"): 20,
        ("TOKEN_INVALID", "", "camera.delete"): 20,
    }
    assert len(entries) <= 4  # the first at once, the rest together


async def test_a_worker_of_an_older_epoch_leaves_an_entry(walk: Walk) -> None:
    camera_id = await walk.camera()
    worker: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        walk.site.channel("worker", camera_id=camera_id, epoch=0)
    )
    await walk.manager.IssueWorkerToken(
        control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
    )
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await worker.ReportHeartbeat(
            control_plane_service_pb2.ReportHeartbeatRequest(camera_id=camera_id, status="running")
        )
    await walk.site.control_plane.flush_audit()
    (entry,) = await walk.entries(outcome="refused")
    assert (entry.reason, entry.actor, entry.action) == (
        "STALE_EPOCH",
        "test-worker",
        "heartbeat.report",
    )


async def test_each_look_at_a_face_leaves_an_entry(walk: Walk) -> None:
    reports = await Reports.open(walk.site)
    await reports.send(one := report("unknown", crop=CROP, context=CONTEXT))
    pictures: Any = sighting_service_pb2_grpc.SightingServiceStub(walk.site.channel("viewer"))
    request = sighting_service_pb2.GetSightingImageRequest(sighting_id=one.id)
    for _ in range(2):
        await pictures.GetSightingImage(request)
    entries = await walk.entries(action="sighting_image.get")
    assert [(e.actor, e.object.kind, e.object.id) for e in entries] == [
        ("test-viewer", "sighting", one.id)
    ] * 2
    await pictures.GetSightingContext(
        sighting_service_pb2.GetSightingContextRequest(sighting_id=one.id)
    )
    (entry,) = await walk.entries(action="sighting_context.get")
    assert (entry.actor, entry.object.id) == ("test-viewer", one.id)


async def test_reading_the_audit_is_an_entry_too(walk: Walk) -> None:
    request = audit_service_pb2.ListAuditEntriesRequest(action="audit_entries.list")
    assert len((await walk.audit.ListAuditEntries(request)).data) == 0
    assert len((await walk.audit.ListAuditEntries(request)).data) == 1


async def test_entries_come_in_pages_newest_first(walk: Walk) -> None:
    for _ in range(5):
        await walk.people.person()
    request = audit_service_pb2.ListAuditEntriesRequest(action="person.create", page_size=2)
    ids: list[int] = []
    while True:
        page = await walk.audit.ListAuditEntries(request)
        ids += [int(entry.id) for entry in page.data]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)
    request.actor = "somebody else"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        await walk.audit.ListAuditEntries(request)


async def test_entries_are_chosen_by_time_kind_and_actor(walk: Walk) -> None:
    await walk.camera()
    (entry,) = await walk.entries(object_kind="camera", actor="test-admin")
    later = Timestamp(seconds=entry.at.seconds + 60)
    earlier = Timestamp(seconds=entry.at.seconds - 60)
    assert await walk.entries(since=earlier, until=later) == [entry]
    assert await walk.entries(since=later) == []
    assert await walk.entries(until=earlier) == []
    assert await walk.entries(object_kind="person") == []
    assert await walk.entries(actor="test-operator") == []
