"""Many cameras in one process: real lines to a gateway, real clips, real models, shared."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dfip.control_plane.v1 import worker_gateway_service_pb2 as pb
from dfip.control_plane.v1 import worker_gateway_service_pb2_grpc as gateway_grpc
from dfip.vision_worker.v1 import worker_service_pb2 as contract
from service_runtime.authentication import TokenVerifier, current_caller
from service_runtime.clients import TokenSource
from service_runtime.clock import SystemClock
from service_runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    ServiceError,
    Superseded,
)
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from service_runtime.transport import Transport
from tests.support.clips import moving_pattern, write_clip
from tests.support.tokens import TestAuthority
from tests.support.virtual_clock import VirtualClock
from vision_worker.models.engines import Engines
from vision_worker.models.inference_thread import InferenceThread
from vision_worker.process.load import ProcessLoad
from vision_worker.servicer import WorkerServicer
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy
from vision_worker.watching.cameras import ALONE_GRACE_S, CameraEnd, Cameras
from vision_worker.watching.watched_camera import Surroundings, WatchedCamera

pytestmark = pytest.mark.usefixtures("builtin_pack")

ONE, TWO, THREE = (new_id() for _ in range(3))


class ManyLines(gateway_grpc.WorkerGatewayServiceServicer):
    """Assigns each camera the clip, or what the test says; or refuses its line."""

    def __init__(self) -> None:
        self.packs: dict[str, str] = {}
        self.refusals: dict[str, ServiceError] = {}
        self.sessions: dict[str, set[str]] = {}
        self.heartbeats: dict[str, list[pb.WorkerHeartbeat]] = {}

    async def Connect(
        self, requests: AsyncIterator[Any], _context: object
    ) -> AsyncIterator[pb.ConnectResponse]:
        camera_id = current_caller().camera_id
        assert camera_id is not None
        if camera_id in self.refusals:
            raise self.refusals[camera_id]
        hello = (await anext(requests)).hello
        assert hello.camera_id == camera_id
        self.sessions.setdefault(camera_id, set()).add(hello.session_id)
        assignment = pb.Assignment(
            camera_id=camera_id,
            epoch=current_caller().epoch or 0,
            generation=1,
            connection_string="file:///clip.mp4",
        )
        assignment.model_config.pack_id = self.packs.get(camera_id, "builtin")
        assignment.model_config.sample_fps = 5
        assignment.model_config.min_face_px = 40
        assignment.model_config.accelerator = "cpu"
        yield pb.ConnectResponse(assignment=assignment)
        async for request in requests:
            if request.WhichOneof("message") == "heartbeat":
                self.heartbeats.setdefault(camera_id, []).append(request.heartbeat)


class Worker:
    """The cameras of one process, and who speaks to them."""

    def __init__(self, folder: Path, address: str, lines: ManyLines, capacity: int) -> None:
        self.authority = TestAuthority(folder)
        self.lines = lines
        self.clock = VirtualClock()
        self.engines = Engines()
        self.thread = InferenceThread()
        load = ProcessLoad(self.clock)
        verifier = TokenVerifier(self.authority.jwks_file, SystemClock())
        surroundings = Surroundings(
            control_plane_target=address,
            index_target="unix:/nowhere",
            transport=Transport(),
            sources=Sources(SourcePolicy(media_root=folder)),
            engines=self.engines,
            inference=self.thread,
            load=load,
            cameras=lambda: self.cameras.watched,
            clock=self.clock,
        )

        def make(camera_id: str, epoch: int, token: TokenSource) -> WatchedCamera:
            return WatchedCamera(
                camera_id=camera_id,
                epoch=epoch,
                token=token,
                folder=folder / "cameras" / camera_id,
                surroundings=surroundings,
            )

        self.cameras = Cameras(make=make, capacity=capacity, verifier=verifier, clock=self.clock)
        self.servicer = WorkerServicer(cameras=self.cameras, engines=self.engines, load=load)

    def token(self, camera_id: str, epoch: int = 1) -> str:
        return self.authority.token("worker", camera_id=camera_id, epoch=epoch)

    async def take(self, camera_id: str, epoch: int = 1) -> int:
        request = contract.TakeCameraRequest(
            camera_id=camera_id, token=self.token(camera_id, epoch)
        )
        return (await self.servicer.TakeCamera(request, None)).epoch

    async def drop(self, camera_id: str) -> bool:
        request = contract.DropCameraRequest(camera_id=camera_id, reason="test")
        return (await self.servicer.DropCamera(request, None)).held

    async def status(self, camera_id: str = "") -> contract.GetWorkerStatusResponse:
        request = contract.GetWorkerStatusRequest(camera_id=camera_id)
        return await self.servicer.GetWorkerStatus(request, None)

    async def work(self, camera_id: str) -> contract.CameraWork:
        return {work.camera_id: work for work in (await self.status()).cameras}[camera_id]

    async def until(self, camera_id: str, holds: Callable[[contract.CameraWork], bool]) -> None:
        """Wait for the world; the time is only how often we look."""
        async with asyncio.timeout(20):
            while not holds(await self.work(camera_id)):  # noqa: ASYNC110 threads have no event
                await asyncio.sleep(0.005)

    async def until_refused(self, camera_id: str) -> None:
        """Wait for the end of a camera whose line is refused.

        gRPC may hide the refusal behind an error of its own, and then the next try meets it.
        """
        async with asyncio.timeout(20):
            while not (await self.work(camera_id)).ending:
                await self.clock.advance(1)
                await asyncio.sleep(0.005)

    async def running(self, *camera_ids: str) -> None:
        for camera_id in camera_ids:
            await self.until(camera_id, lambda work: work.worker_status == "running")


@asynccontextmanager
async def worker(tmp_path: Path, *, capacity: int = 8) -> AsyncIterator[Worker]:
    write_clip(tmp_path / "clip.mp4", moving_pattern(25, (160, 96)))
    lines = ManyLines()
    address = f"unix:{tmp_path}/g.sock"
    made = Worker(tmp_path, address, lines, capacity)
    server = Server(
        room="control_plane",
        listen=address,
        bindings=[
            Binding(
                descriptor=pb.DESCRIPTOR.services_by_name["WorkerGatewayService"],
                add=gateway_grpc.add_WorkerGatewayServiceServicer_to_server,
                servicer=lines,
            )
        ],
        verifier=TokenVerifier(made.authority.jwks_file, SystemClock()),
        clock=SystemClock(),
    )
    await server.start()
    made.thread.start()
    try:
        yield made
    finally:
        await made.cameras.close()
        await made.engines.close()
        made.thread.close()
        await server.stop(0)


async def test_cameras_share_models_and_nothing_else(tmp_path: Path) -> None:
    async with worker(tmp_path) as process:
        assert [await process.take(name) for name in (ONE, TWO)] == [1, 1]
        assert await process.take(ONE) == 1  # once more, with another token of the same epoch
        await process.running(ONE, TWO)
        status = await process.status(TWO)
        assert (status.engines, status.capacity, len(status.cameras)) == (1, 8, 2)
        assert (status.camera_id, status.epoch, status.worker_status) == (TWO, 1, "running")
        assert (await process.status()).camera_id == ONE
        assert status.accelerator_used == "cpu"
        await process.until(TWO, lambda work: work.frames_sampled > 0 and work.models_loaded)
        sessions = [process.lines.sessions[name] for name in (ONE, TWO)]
        assert [len(one) for one in sessions] == [1, 1]
        assert sessions[0] != sessions[1]
        folders = {path.name for path in (tmp_path / "cameras").iterdir()}
        assert folders == {ONE, TWO}
        with pytest.raises(NotFound):
            await process.status(THREE)


async def test_the_heartbeats_of_cameras_add_up_to_the_process(tmp_path: Path) -> None:
    async with worker(tmp_path) as process:
        for name in (ONE, TWO):
            await process.take(name)
        await process.running(ONE, TWO)
        whole = (await process.status()).memory_bytes
        heard = [process.lines.heartbeats[name][-1].memory_bytes for name in (ONE, TWO)]
        assert sum(heard) == pytest.approx(whole, rel=0.2)


@pytest.mark.parametrize(
    ("refusal", "end"),
    [
        (PermissionDenied("NOT_YOURS", "No."), CameraEnd.TOKEN_REFUSED),
        (Superseded("EPOCH_OVER", "Another worker."), CameraEnd.SUPERSEDED),
    ],
)
async def test_a_refused_camera_leaves_the_others_undisturbed(
    tmp_path: Path, refusal: ServiceError, end: CameraEnd
) -> None:
    async with worker(tmp_path) as process:
        process.lines.refusals[TWO] = refusal
        for name in (ONE, TWO, THREE):
            await process.take(name)
        await process.until_refused(TWO)
        assert (await process.work(TWO)).ending == end.value
        await process.running(ONE, THREE)
        assert [len(process.lines.sessions[name]) for name in (ONE, THREE)] == [1, 1]
        del process.lines.refusals[TWO]
        assert await process.take(TWO, epoch=2) == 2
        await process.running(TWO)


async def test_a_bad_pack_and_a_bug_leave_the_others_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(tmp_path) as process:
        process.lines.packs[TWO] = "no-such-pack"
        await process.take(ONE)
        await process.running(ONE)
        await process.take(TWO)
        await process.until(TWO, lambda work: work.failure_reason == "model_unavailable")

        async def stumble(_self: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("vision_worker.watching.camera_watch.CameraWatch.run", stumble)
        await process.take(THREE)
        await process.until(THREE, lambda work: work.ending == "crashed")
        assert (await process.work(ONE)).worker_status == "running"


async def test_a_dropped_camera_is_gone_and_the_last_one_frees_the_models(tmp_path: Path) -> None:
    async with worker(tmp_path) as process:
        for name in (ONE, TWO):
            await process.take(name)
        await process.running(ONE, TWO)
        assert await process.drop(ONE)
        assert not await process.drop(ONE)
        status = await process.status()
        assert [work.camera_id for work in status.cameras] == [TWO]
        assert (status.engines, status.camera_id) == (1, TWO)
        assert await process.drop(TWO)
        await process.engines.close()
        status = await process.status()
        assert (status.engines, status.camera_id, len(status.cameras)) == (0, "", 0)


async def test_a_newer_epoch_takes_the_place_of_an_older_and_never_the_other_way(
    tmp_path: Path,
) -> None:
    async with worker(tmp_path) as process:
        await process.take(ONE, epoch=2)
        await process.running(ONE)
        with pytest.raises(FailedPrecondition):
            await process.take(ONE, epoch=1)
        assert await process.take(ONE, epoch=3) == 3
        await process.running(ONE)
        status = await process.status()
        assert [work.epoch for work in status.cameras] == [3]
        assert len(process.lines.sessions[ONE]) == 2


async def test_only_a_token_of_the_camera_itself_is_taken(tmp_path: Path) -> None:
    async with worker(tmp_path) as process:
        foreign = process.token(TWO)
        for token in (foreign, "x.y.z", process.authority.token("manager")):
            with pytest.raises(InvalidArgument):
                await process.cameras.take(ONE, Secret(token))
        with pytest.raises(NotFound):
            await process.cameras.take("../elsewhere", Secret(foreign))
        assert not process.cameras.held


async def test_a_full_worker_takes_no_more_and_an_ended_camera_makes_room(tmp_path: Path) -> None:
    async with worker(tmp_path, capacity=2) as process:
        process.lines.refusals[TWO] = PermissionDenied("NOT_YOURS", "No.")
        await process.take(ONE)
        await process.take(TWO)
        with pytest.raises(ResourceExhausted):
            await process.take(THREE)
        await process.until_refused(TWO)
        await process.take(THREE)
        assert list(process.cameras.held) == [ONE, THREE]


async def test_a_worker_without_cameras_ends_after_its_grace_and_not_before(
    tmp_path: Path,
) -> None:
    async with worker(tmp_path) as process:
        running = asyncio.create_task(process.cameras.run())
        await process.clock.advance(ALONE_GRACE_S - 1)
        await process.take(ONE)
        await process.clock.advance(ALONE_GRACE_S + 1)
        assert not running.done()
        await process.drop(ONE)
        await process.clock.advance(ALONE_GRACE_S - 1)
        assert not running.done()
        await process.clock.advance(2)
        assert await running is None


async def test_a_worker_for_one_camera_ends_with_it_and_says_how(tmp_path: Path) -> None:
    async with worker(tmp_path, capacity=1) as process:
        running = asyncio.create_task(process.cameras.run())
        process.lines.refusals[ONE] = Superseded("EPOCH_OVER", "Another worker.")
        await process.take(ONE)
        assert await running is CameraEnd.SUPERSEDED


async def test_draining_ends_all_cameras_and_takes_no_more(tmp_path: Path) -> None:
    async with worker(tmp_path) as process:
        running = asyncio.create_task(process.cameras.run())
        for name in (ONE, TWO):
            await process.take(name)
        await process.running(ONE, TWO)
        await process.servicer.Drain(contract.DrainRequest(reason="test"), None)
        assert await running is None
        assert {held.ending for held in process.cameras.held.values()} == {CameraEnd.DRAINED}
        with pytest.raises(FailedPrecondition):
            await process.take(THREE)
