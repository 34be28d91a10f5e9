"""The manager's watch: a snapshot, then states; nothing missed, nothing repeated without need."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from control_plane.cameras import watch
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from tests.integration.control_plane.conftest import RTSP, Site
from tests.support.control_plane import running_control_plane
from tests.support.refusals import refused
from tests.support.virtual_clock import VirtualClock


class Watcher:
    """Keeps the world as the messages tell it."""

    def __init__(self, cameras: Any, resume_token: str = "") -> None:
        request = pb.WatchCamerasRequest(resume_token=resume_token)
        self._call: AsyncIterator[pb.WatchCamerasResponse] = cameras.WatchCameras(request)
        self.world: dict[str, pb.CameraState] = {}
        self.resume_token = ""
        self.messages = 0

    async def next(self) -> pb.WatchCamerasResponse:
        message = await anext(aiter(self._call))
        self.messages += 1
        for state in message.cameras:
            self.world[state.camera_id] = state
        for camera_id in message.removed_camera_ids:
            self.world.pop(camera_id, None)
        self.resume_token = message.resume_token or self.resume_token
        return message

    async def until_snapshot(self) -> None:
        while not (await self.next()).snapshot_complete:
            pass

    async def until(self, holds: Any) -> None:
        while not holds(self.world):
            await self.next()


async def test_an_empty_site_has_a_snapshot_too(site: Site) -> None:
    watcher = Watcher(site.cameras("manager"))
    message = await watcher.next()
    assert message.snapshot_complete
    assert not message.cameras
    assert message.resume_token


async def test_a_snapshot_in_parts_is_whole_at_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SNAPSHOT_CHUNK", 2)
    ids = {await site.camera(f"{number}") for number in range(5)}
    watcher = Watcher(site.cameras("manager"))
    first = await watcher.next()
    assert (len(first.cameras), first.snapshot_complete, first.resume_token) == (2, False, "")
    await watcher.until_snapshot()
    assert watcher.messages == 3
    assert set(watcher.world) == ids
    assert all(state.desired_state == "running" for state in watcher.world.values())


async def test_follows_what_changes(site: Site) -> None:
    camera_id = await site.camera()
    watcher = Watcher(site.cameras("manager"))
    await watcher.until_snapshot()
    assert watcher.world[camera_id].generation == 1

    cameras = site.cameras()
    await cameras.SetCameraStatus(pb.SetCameraStatusRequest(camera_id=camera_id, status="disabled"))
    await watcher.until(lambda world: world[camera_id].desired_state == "stopped")
    await cameras.UpdateCamera(
        pb.UpdateCameraRequest(
            camera_id=camera_id, connection_string="rtsp://other/", status="enabled"
        )
    )
    await watcher.until(lambda world: world[camera_id].desired_state == "running")
    assert watcher.world[camera_id].generation == 2
    # a new name is nothing that a worker follows
    await cameras.UpdateCamera(pb.UpdateCameraRequest(camera_id=camera_id, name="new"))
    await watcher.until(lambda world: world[camera_id].name == "new")
    assert watcher.world[camera_id].generation == 2
    await cameras.RetryCamera(pb.RetryCameraRequest(camera_id=camera_id))
    await watcher.until(lambda world: world[camera_id].retry_counter == 1)
    _, epoch = await site.worker_token(camera_id)
    await watcher.until(lambda world: world[camera_id].epoch == epoch)
    worker = site.cameras("worker", camera_id=camera_id, epoch=epoch)
    await worker.ReportHeartbeat(pb.ReportHeartbeatRequest(camera_id=camera_id, status="running"))
    await watcher.until(lambda world: world[camera_id].runtime.worker_status == "running")
    await cameras.DeleteCamera(pb.DeleteCameraRequest(camera_id=camera_id))
    await watcher.until(lambda world: camera_id not in world)


async def test_many_changes_while_away_become_one_state(site: Site) -> None:
    first, second = await site.camera("first"), await site.camera("second")
    watcher = Watcher(site.cameras("manager"))
    await watcher.until_snapshot()
    cameras = site.cameras()
    for status in ("disabled", "enabled") * 10:
        await cameras.SetCameraStatus(pb.SetCameraStatusRequest(camera_id=first, status=status))
    third = await site.camera("third")
    await cameras.DeleteCamera(pb.DeleteCameraRequest(camera_id=second))
    again = Watcher(site.cameras("manager"), watcher.resume_token)
    opened = await again.next()
    assert (opened.snapshot_complete, list(opened.cameras)) == (True, [])
    changes = await again.next()
    assert {state.camera_id: state.desired_state for state in changes.cameras} == {
        first: "running",
        third: "running",
    }
    assert list(changes.removed_camera_ids) == [second]


async def test_sightings_and_people_are_none_of_the_managers_business(site: Site) -> None:
    camera_id = await site.camera()
    watcher = Watcher(site.cameras("manager"))
    await watcher.until_snapshot()
    async with site.running.control_plane.parts.database.write() as tx:
        await tx.append_event("sighting.created", camera_id=camera_id, payload={})
        await tx.append_event("person.created", person_id=camera_id, payload={})
    await site.cameras().RetryCamera(pb.RetryCameraRequest(camera_id=camera_id))
    await watcher.next()
    assert watcher.world[camera_id].retry_counter == 1


async def test_heartbeats_are_refreshed_on_a_tick(site: Site) -> None:
    camera_id = await site.camera()
    worker = site.cameras("worker", camera_id=camera_id, epoch=0)
    beat = pb.ReportHeartbeatRequest(camera_id=camera_id, status="running")
    await worker.ReportHeartbeat(beat)
    watcher = Watcher(site.cameras("manager"))
    await watcher.until_snapshot()
    before = watcher.world[camera_id].runtime.last_heartbeat.seconds
    await site.clock.advance(7)
    await worker.ReportHeartbeat(beat)
    refreshed = asyncio.create_task(
        watcher.until(lambda world: world[camera_id].runtime.last_heartbeat.seconds == before + 7)
    )
    while not refreshed.done():  # its watch may begin to wait for a tick late
        await site.clock.advance(10)
        await asyncio.wait({refreshed}, timeout=0.05)
    await refreshed


async def test_resumes_across_a_restart(tmp_path: Path) -> None:
    clock = VirtualClock()
    create = pb.CreateCameraRequest(name="a", connection_string=RTSP)
    async with running_control_plane(tmp_path, clock=clock) as first:
        watcher = Watcher(ControlPlaneServiceStub(first.channel("manager")))
        await watcher.until_snapshot()
        cameras = ControlPlaneServiceStub(first.channel())
        camera_id = (await cameras.CreateCamera(create)).data.id
    async with running_control_plane(tmp_path, clock=clock) as second:
        again = Watcher(ControlPlaneServiceStub(second.channel("manager")), watcher.resume_token)
        await again.until(lambda world: camera_id in world)


async def test_a_token_of_another_site_is_refused(site: Site, tmp_path: Path) -> None:
    async with running_control_plane(tmp_path / "other", clock=site.clock) as other:
        watcher = Watcher(ControlPlaneServiceStub(other.channel("manager")))
        await watcher.until_snapshot()
    stranger = Watcher(site.cameras("manager"), watcher.resume_token)
    with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
        await stranger.next()
        await stranger.next()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID"):
        await Watcher(site.cameras("manager"), "nonsense").next()


async def test_stopping_ends_the_watch_with_unavailable(tmp_path: Path) -> None:
    async with running_control_plane(tmp_path, clock=VirtualClock()) as running:
        watcher = Watcher(ControlPlaneServiceStub(running.channel("manager")))
        await watcher.until_snapshot()
        await running.stop_serving()
        with refused(grpc.StatusCode.UNAVAILABLE, "SERVICE_STOPPING"):
            await watcher.next()
