"""A camera's password: after everything that happens to a camera it stands nowhere but sealed."""

import logging
import re
from pathlib import Path
from typing import Any

import grpc
import pytest

from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1 import event_service_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from dfip.control_plane.v1.worker_gateway_service_pb2_grpc import WorkerGatewayServiceStub
from service_runtime.identifiers import new_id
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.virtual_clock import VirtualClock

CANARY = "canary-7f3a"
RTSP = f"rtsp://admin:{CANARY}@10.0.0.5/stream"
TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")


async def refusal_of(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return str(refused.value)


async def live_through_everything(running: RunningControlPlane) -> list[str]:
    """Do all there is to do with a camera, and return whatever anybody was told."""
    cameras = ControlPlaneServiceStub(running.channel())
    managers = ControlPlaneServiceStub(running.channel("manager"))
    told: list[Any] = []
    created = await cameras.CreateCamera(
        pb.CreateCameraRequest(
            name="a", connection_string=RTSP, desired_state="running", request_id="once"
        )
    )
    camera_id = created.data.id
    told += [created]
    for bad in (f"ftp://{CANARY}@x/", f"rtsp://u:{CANARY}@@x/", f"file:///{CANARY}", CANARY * 300):
        told += [
            await refusal_of(
                cameras.CreateCamera(pb.CreateCameraRequest(name="b", connection_string=bad))
            ),
            await refusal_of(
                cameras.UpdateCamera(
                    pb.UpdateCameraRequest(camera_id=camera_id, connection_string=bad)
                )
            ),
        ]
    told += [await refusal_of(
        cameras.CreateCamera(
            pb.CreateCameraRequest(name="b", connection_string=RTSP, request_id="once")
        )
    )]  # fmt: skip
    issued = await managers.IssueWorkerToken(pb.IssueWorkerTokenRequest(camera_id=camera_id))
    worker: Any = WorkerGatewayServiceStub(running.channel(token=issued.token)).Connect()
    hello = gateway_pb2.WorkerHello(session_id=new_id(), camera_id=camera_id)
    await worker.write(gateway_pb2.ConnectRequest(hello=hello))
    # the one place where it may and must be told
    assert (await worker.read()).assignment.connection_string == RTSP
    changed = pb.UpdateCameraRequest(camera_id=camera_id, connection_string=f"{RTSP}2")
    told += [await cameras.UpdateCamera(changed)]
    assert (await worker.read()).assignment.connection_string == f"{RTSP}2"
    own = ControlPlaneServiceStub(running.channel("worker", camera_id=camera_id, epoch=1))
    beat = pb.ReportHeartbeatRequest(camera_id=camera_id, status="failed")
    told += [await own.ReportHeartbeat(beat)]
    told += [camera async for camera in cameras.ListCameras(pb.ListCamerasRequest())]
    told += [await cameras.ListCameraRuntimes(pb.ListCameraRuntimesRequest())]
    told += [await cameras.GetCamera(pb.GetCameraRequest(camera_id=camera_id))]
    async for message in managers.WatchCameras(pb.WatchCamerasRequest()):
        told += [message]
        break
    told += await whole_feed(running)
    await cameras.DeleteCamera(pb.DeleteCameraRequest(camera_id=camera_id))
    worker.cancel()
    return [str(one) for one in told]


async def whole_feed(running: RunningControlPlane) -> list[Any]:
    """Return every event from the beginning, typed and as server-sent events."""
    feed = running.control_plane.parts.feed
    async with running.control_plane.parts.database.read() as session:
        head = await feed.head(session)
    beginning = type(head)(feed_id=head.feed_id, sequence=0).encode()
    events = EventServiceStub(running.channel("viewer"))
    told: list[Any] = []
    watch = events.WatchEvents(event_service_pb2.WatchEventsRequest(resume_token=beginning))
    async for message in watch:
        told += [message]
        if message.resume_token == head.encode():
            break
    stream = events.StreamEvents(event_service_pb2.StreamEventsRequest(resume_token=beginning))
    async for chunk in stream:
        told += [chunk.data.decode()]
        if head.encode() in told[-1]:
            break
    assert len(told) > 7
    return told


async def test_a_password_is_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_control_plane(tmp_path, clock=VirtualClock()) as running:
        told = await live_through_everything(running)
        while_running = [file.read_bytes() for file in files_below(tmp_path)]
    assert not [one for one in told if CANARY in one]
    output = capfd.readouterr()
    assert CANARY not in output.out + output.err + caplog.text
    kept = [*while_running, *(file.read_bytes() for file in files_below(tmp_path))]
    assert any(b"camera.deleted" in content for content in kept), "looked in the wrong place"
    assert not [content for content in kept if CANARY.encode() in content]


async def test_no_token_is_in_the_database_or_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running_control_plane(tmp_path, clock=VirtualClock()) as running:
        await live_through_everything(running)
    database = b"".join(file.read_bytes() for file in (tmp_path / "data").glob("dfip.db*"))
    assert b"camera.deleted" in database
    assert not TOKEN.search(database)
    assert not TOKEN.search(capfd.readouterr().err.encode())


async def test_secrets_on_disk_are_their_owners_alone(tmp_path: Path) -> None:
    async with running_control_plane(tmp_path, clock=VirtualClock()):
        secret = [*(tmp_path / "data" / "keys").iterdir(), tmp_path / "data" / "admin.token"]
        secret += (tmp_path / "tokens").iterdir()
        secret += [tmp_path / "data" / "dfip.db"]
        assert len(secret) >= 6
        exposed = {
            file.name: oct(file.stat().st_mode) for file in secret if file.stat().st_mode & 0o077
        }
        assert not exposed


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
