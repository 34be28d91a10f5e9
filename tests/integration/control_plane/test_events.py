"""The feed as clients see it: documented shape, resumable, with nothing that is not theirs."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import func, select

from control_plane.events.tables import EventRow
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1 import event_service_pb2, person_service_pb2
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from dfip.control_plane.v1.person_service_pb2_grpc import PersonServiceStub
from tests.integration.control_plane.conftest import Site
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.refusals import refused
from tests.support.virtual_clock import VirtualClock


class ServerSentEvents:
    """Reads a stream as a browser does."""

    def __init__(self, running: RunningControlPlane, *, last_id: str = "", **wanted: Any) -> None:
        metadata = [("last-event-id", last_id)] if last_id else None
        stub = EventServiceStub(running.channel("viewer"))
        request = event_service_pb2.StreamEventsRequest(**wanted)
        self._call: AsyncIterator[Any] = aiter(stub.StreamEvents(request, metadata=metadata))
        self.last_id = ""
        self.comments = 0
        self._coming: list[str] = []

    async def block(self) -> dict[str, str]:
        """Read up to the next empty line; an id without data is a block, too."""
        while not self._coming:
            chunk = await anext(self._call)
            assert chunk.content_type == "text/event-stream"
            self._coming = [block for block in chunk.data.decode().split("\n\n") if block]
        text = self._coming.pop(0)
        fields: dict[str, str] = {}
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
            elif line:
                self.comments += 1
        self.last_id = fields.get("id", self.last_id)
        return fields

    async def opened(self) -> None:
        """Read until the position from which the stream starts."""
        while "id" not in await self.block():
            pass

    async def next(self) -> dict[str, Any]:
        while True:
            fields = await self.block()
            if "data" in fields:
                event = json.loads(fields["data"])
                assert event["type"] == fields["event"]
                return dict(event)


async def set_status(site: Site, camera_id: str, status: str) -> None:
    request = pb.SetCameraStatusRequest(camera_id=camera_id, status=status)
    await site.cameras().SetCameraStatus(request)


async def test_an_event_has_the_documented_shape(site: Site) -> None:
    camera_id = await site.camera(desired_state="stopped", location="Front Entrance")
    stream = ServerSentEvents(site.running)
    await stream.opened()
    await set_status(site, camera_id, "enabled")
    assert await stream.next() == {
        "type": "camera.enabled",
        "camera_id": camera_id,
        "camera": {
            "id": camera_id,
            "name": "Front door",
            "connection_string": "rtsp://...",
            "status": "enabled",
            "desired_state": "running",
            "location": "Front Entrance",
            "description": "",
            "metadata": {},
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        },
        "timestamp": "2026-01-01T00:00:00Z",
    }


async def test_every_change_of_a_camera_has_its_event(site: Site) -> None:
    stream = ServerSentEvents(site.running)
    await stream.opened()
    camera_id = await site.camera()
    cameras = site.cameras()
    await cameras.UpdateCamera(pb.UpdateCameraRequest(camera_id=camera_id, name="new"))
    await cameras.UpdateCamera(pb.UpdateCameraRequest(camera_id=camera_id, name="new"))
    await set_status(site, camera_id, "disabled")
    await set_status(site, camera_id, "disabled")
    both = pb.UpdateCameraRequest(camera_id=camera_id, location="yard", status="enabled")
    await cameras.UpdateCamera(both)
    await cameras.RetryCamera(pb.RetryCameraRequest(camera_id=camera_id))
    await cameras.DeleteCamera(pb.DeleteCameraRequest(camera_id=camera_id))
    types = []
    while "camera.deleted" not in types:
        types.append((await stream.next())["type"])
    assert types == [
        "camera.created",
        "camera.updated",
        "camera.disabled",
        "camera.updated",
        "camera.enabled",
        "camera.deleted",
    ]


async def test_a_worker_has_its_events(site: Site) -> None:
    camera_id = await site.camera()
    stream = ServerSentEvents(site.running, types=["worker.heartbeat", "worker.error"])
    await stream.opened()
    worker = site.cameras("worker", camera_id=camera_id, epoch=0)

    async def beat(status: str) -> None:
        request = pb.ReportHeartbeatRequest(camera_id=camera_id, status=status)
        await worker.ReportHeartbeat(request)

    for _ in range(13):
        await beat("running")
        await site.clock.advance(5)
    # a change of state at once, the same state once a minute
    assert [(await stream.next())["timestamp"][14:19] for _ in range(2)] == ["00:00", "01:00"]
    await beat("failed")
    heartbeat, error = await stream.next(), await stream.next()
    assert heartbeat["type"] == "worker.heartbeat"
    assert heartbeat["runtime"]["worker_status"] == "failed"
    assert heartbeat["runtime"]["last_heartbeat"] == heartbeat["timestamp"]
    assert error["type"] == "worker.error"
    assert error["error"] == {"reason": "none", "message": "The worker has failed."}


async def test_goes_on_after_the_last_event_seen(site: Site) -> None:
    stream = ServerSentEvents(site.running)
    await stream.opened()
    beginning = stream.last_id
    first = await site.camera("first")
    assert (await stream.next())["camera_id"] == first
    second = await site.camera("second")
    by_header = ServerSentEvents(site.running, last_id=stream.last_id)
    assert (await by_header.next())["camera_id"] == second
    by_field = ServerSentEvents(site.running, resume_token=beginning)
    assert [(await by_field.next())["camera_id"] for _ in range(2)] == [first, second]


async def test_goes_on_across_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    async with running_control_plane(tmp_path, clock=clock) as running:
        stream = ServerSentEvents(running)
        await stream.opened()
        site = Site(running=running, clock=clock)
        camera_id = await site.camera()
    async with running_control_plane(tmp_path, clock=clock) as running:
        again = ServerSentEvents(running, last_id=stream.last_id)
        assert (await again.next())["camera_id"] == camera_id


async def test_an_idle_stream_is_kept_alive(site: Site) -> None:
    await site.camera()
    stream = ServerSentEvents(site.running)
    await stream.opened()
    opened_with, comments = stream.last_id, stream.comments
    coming = asyncio.ensure_future(stream.block())
    while not coming.done():
        await site.clock.advance(15)
    assert "data" not in coming.result()
    assert (stream.last_id, stream.comments) == (opened_with, comments + 1)


async def test_only_what_was_asked_for(site: Site) -> None:
    first, second = await site.camera("first"), await site.camera("second")
    stream = ServerSentEvents(site.running, camera_id=second, types=["camera.disabled"])
    await stream.opened()
    for camera_id in (first, second):
        await set_status(site, camera_id, "disabled")
    event = await stream.next()
    assert (event["type"], event["camera_id"]) == ("camera.disabled", second)


async def test_typed_events_begin_with_a_checkpoint(site: Site) -> None:
    stub = EventServiceStub(site.running.channel("viewer"))
    call = aiter(stub.WatchEvents(event_service_pb2.WatchEventsRequest()))
    checkpoint = await anext(call)
    assert not checkpoint.HasField("event")
    camera_id = await site.camera()
    message = await anext(call)
    assert (message.event.type, message.event.camera_id) == ("camera.created", camera_id)
    assert not message.event.HasField("person_id")
    resumed = event_service_pb2.WatchEventsRequest(resume_token=checkpoint.resume_token)
    again = aiter(stub.WatchEvents(resumed))
    await anext(again)
    assert (await anext(again)).event == message.event


async def test_several_events_share_a_message_where_that_is_asked_for(site: Site) -> None:
    stub = EventServiceStub(site.running.channel("viewer"))
    call = aiter(stub.WatchEvents(event_service_pb2.WatchEventsRequest()))
    start = (await anext(call)).resume_token
    for _ in range(5):
        await site.camera()
    one_by_one = [await anext(call) for _ in range(5)]
    asked = event_service_pb2.WatchEventsRequest(resume_token=start, events_per_message=3)
    together = aiter(stub.WatchEvents(asked))
    checkpoint = await anext(together)
    assert not checkpoint.events
    first, second = await anext(together), await anext(together)
    assert not first.HasField("event")
    assert [*first.events, *second.events] == [message.event for message in one_by_one]
    assert (len(first.events), first.resume_token) == (3, one_by_one[2].resume_token)
    assert second.resume_token == one_by_one[4].resume_token


async def test_names_in_sightings_are_those_of_now(site: Site) -> None:
    persons = PersonServiceStub(site.running.channel())
    created = await persons.CreatePerson(person_service_pb2.CreatePersonRequest(name="Ada"))
    person_id = created.data.id
    candidate = {"person_id": person_id, "person_name": "", "face_id": "", "score": 1}
    sighting = {"person_id": person_id, "evidence": {"candidates": [candidate]}}
    stub = EventServiceStub(site.running.channel("viewer"))
    call = aiter(stub.WatchEvents(event_service_pb2.WatchEventsRequest()))
    await anext(call)
    async with site.running.control_plane.parts.database.write() as tx:
        await tx.append_event(
            "sighting.created", person_id=person_id, payload={"sighting": sighting}
        )
    event = (await anext(call)).event
    assert event.sighting.person_name == "Ada"
    assert event.sighting.evidence.candidates[0].person_name == "Ada"


async def test_a_feed_that_was_compacted_says_so(tmp_path: Path, clock: VirtualClock) -> None:
    async with running_control_plane(tmp_path, clock=clock, event_rows=5) as running:
        site = Site(running=running, clock=clock)
        stream = ServerSentEvents(running)
        await stream.opened()
        camera_id = await site.camera()
        for status in ("disabled", "enabled") * 5:
            await set_status(site, camera_id, status)
        await running.control_plane.parts.retention.once()
        late = ServerSentEvents(running, last_id=stream.last_id)
        with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
            await late.next()
        async with running.control_plane.parts.database.read() as session:
            assert await session.scalar(select(func.count()).select_from(EventRow)) == 5


@pytest.mark.parametrize("token", ["nonsense", "W10", "WyJhIiwtMV0"])
async def test_a_token_that_is_none_is_refused(site: Site, token: str) -> None:
    stream = ServerSentEvents(site.running, last_id=token)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID"):
        await stream.next()
