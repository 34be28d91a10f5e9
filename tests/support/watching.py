"""A camera that is watched as a worker does it, in real time, with a record of all it went through.

    async with watching(tmp_path) as process:
        camera = await process.camera("rtsp://…")
        await camera.sees()
        ... a fault ...
        assert await camera.fails("stalled") < 10

Models and decoding are real; the identity index is away. All cameras of a ``watching`` share this
process, as they share a worker's.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from face_engine.preparation import prepare_pack
from service_runtime.clients import MeshChannel, open_channel
from service_runtime.clock import SystemClock
from vision_worker.models.engines import Engines
from vision_worker.models.inference_thread import InferenceThread
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy, SourceTimes, camera_addresses
from vision_worker.spool.spool import ReportSpool
from vision_worker.watching.camera_watch import CameraState, CameraWatch
from vision_worker.watching.source_backoff import SourceBackoff

FOR_EVER_S = 60.0
"""How long a test waits for what must come."""


@dataclass(slots=True, kw_only=True)
class WatchedCamera:
    """One camera. Times are seconds since the last ``mark``, which a fault sets."""

    watch: CameraWatch
    task: asyncio.Task[None]
    history: list[tuple[float, CameraState]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    marked: float = field(default_factory=time.monotonic)

    def changed(self) -> None:
        """Note the state."""
        self.history.append((time.monotonic(), self.watch.state))
        self.news.set()

    def mark(self) -> None:
        """Begin to count: the fault comes now."""
        self.marked = time.monotonic()

    async def until(
        self, holds: Callable[[CameraState], bool], *, what: str, within_s: float = FOR_EVER_S
    ) -> float:
        """Return how long after the mark a state came that fulfils the condition."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for at, state in self.history:
                        if at >= self.marked and holds(state):
                            return at - self.marked
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            states = [f"{state.worker_status}/{state.failure_reason}" for _, state in self.history]
            raise AssertionError(f"never: {what}; but {', '.join(states)}") from None

    async def fails(self, reason: str, *, within_s: float = FOR_EVER_S) -> float:
        """Wait for a failure, which must have this reason; return after how long it was named."""
        seconds = await self.until(
            lambda state: state.worker_status == "backoff", what=reason, within_s=within_s
        )
        found = next(
            state.failure_reason
            for at, state in self.history
            if at >= self.marked and state.worker_status == "backoff"
        )
        assert found == reason, f"{found} in place of {reason}"
        return seconds

    async def sees(self, *, within_s: float = FOR_EVER_S) -> float:
        """Wait until frames come."""
        return await self.until(
            lambda state: state.worker_status == "running", what="frames", within_s=within_s
        )

    async def sampled(self, count: int, *, within_s: float = FOR_EVER_S) -> None:
        """Wait until so many more frames were looked at."""
        wanted = self.watch.stats.frames_sampled + count
        async with asyncio.timeout(within_s):
            while self.watch.stats.frames_sampled < wanted:  # noqa: ASYNC110 - nobody tells of each
                await asyncio.sleep(0.05)

    @property
    def failures(self) -> list[str]:
        """The reasons of all failures."""
        return [
            state.failure_reason for _, state in self.history if state.worker_status == "backoff"
        ]


@dataclass(slots=True, kw_only=True)
class Watching:
    """The cameras of this process."""

    media_root: Path
    index: MeshChannel
    pack_id: str
    times: SourceTimes = field(default_factory=SourceTimes)
    engines: Engines = field(default_factory=Engines)
    thread: InferenceThread = field(default_factory=InferenceThread)
    cameras: list[WatchedCamera] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def camera(
        self, url: str, *, sample_fps: float = 5, backoff: SourceBackoff | None = None
    ) -> WatchedCamera:
        """Begin to watch a camera."""
        camera_id, clock = f"camera-{next(self._numbers)}", SystemClock()
        watch = CameraWatch(
            camera_id=camera_id,
            sources=loopback_sources(self.media_root, self.times),
            index=self.index,
            engines=self.engines,
            lane=self.thread.open_lane(),
            # never opened: what is reported stays in memory, and the oldest goes
            spool=ReportSpool(self.media_root, camera_id=camera_id, clock=clock),
            clock=clock,
            changed=lambda: camera.changed(),  # noqa: PLW0108 - made below
            backoff=backoff,
        )
        camera = WatchedCamera(watch=watch, task=asyncio.create_task(watch.run()))
        self.cameras.append(camera)
        assignment = gateway_pb2.Assignment(connection_string=url, generation=1, epoch=1)
        assignment.model_config.pack_id = self.pack_id
        assignment.model_config.sample_fps = sample_fps
        assignment.model_config.min_face_px = 40
        assignment.model_config.accelerator = "cpu"
        watch.assign(assignment)
        return camera

    async def leave(self, camera: WatchedCamera) -> None:
        """Watch a camera no longer."""
        self.cameras.remove(camera)
        await camera.watch.wind_down()
        await camera.task


def loopback_sources(media_root: Path, times: SourceTimes | None = None) -> Sources:
    """Return sources for cameras of this machine."""
    addresses = camera_addresses("127.0.0.0/8")
    policy = SourcePolicy(media_root=media_root, addresses=addresses)
    return Sources(policy if times is None else replace(policy, times=times))


@asynccontextmanager
async def watching(
    media_root: Path, *, times: SourceTimes | None = None
) -> AsyncIterator[Watching]:
    """Watch cameras until the end of the block."""
    pack_id = prepare_pack("builtin").pack.pack_id
    async with open_channel("unix:/nowhere") as index:
        process = Watching(media_root=media_root, index=index, pack_id=pack_id)
        process.times = times or process.times
        process.thread.start()
        try:
            yield process
        finally:
            await asyncio.gather(*(process.leave(camera) for camera in list(process.cameras)))
            process.thread.close()
            await process.engines.close()
