"""A manager with a fake control plane and a fake place, on a virtual clock."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable

from camera_manager.camera_watch import CameraWatch
from camera_manager.leadership import Leadership
from camera_manager.reconciler import Reconciler
from camera_manager.runtime_reports import RuntimeReports
from camera_manager.work_queue import WorkQueue
from camera_manager.worker_tokens import WorkerTokens
from service_runtime.backoff import Backoff
from tests.support.leases import DirectLeases
from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.camera_manager.fake_control_plane import DirectStub, FakeControlPlane
from tests.unit.camera_manager.fake_place import FakePlace


class Site:
    """The world around one manager, which can be killed and started again."""

    def __init__(self, *, seed: int = 7) -> None:
        self.clock = VirtualClock()
        self.plane = FakeControlPlane()
        self.place = FakePlace(self.clock)
        self.leases = DirectLeases(self.clock)
        self.leadership: Leadership
        self.reconciler: Reconciler
        self.watch: CameraWatch
        self._rng = random.Random(seed)
        self._tasks: list[asyncio.Task[None]] = []
        self._queue = WorkQueue(self.clock)

    async def start_manager(self) -> None:
        stub = DirectStub(self.plane)
        self._queue = queue = WorkQueue(self.clock)

        def look_at(camera_ids: Iterable[str]) -> None:
            for camera_id in camera_ids:
                queue.add(camera_id)

        neighbour = Backoff(initial_s=0.2, cap_s=3.0, rng=self._rng)
        self.watch = watch = CameraWatch(
            stub=stub,
            clock=self.clock,
            backoff=neighbour,
            on_change=look_at,
        )
        self.leadership = leadership = Leadership(
            stub=self.leases, clock=self.clock, holder="a", on_taken=watch.relist
        )
        reports = RuntimeReports(
            stub=stub,
            clock=self.clock,
            backoff=neighbour,
            leadership=leadership,
            on_refused=lambda _ids: watch.relist(),
        )
        self.reconciler = Reconciler(
            cameras=watch,
            runtime=self.place,
            tokens=WorkerTokens(stub, leadership),
            reports=reports,
            leadership=leadership,
            queue=queue,
            clock=self.clock,
            worker_backoff=Backoff(initial_s=1.0, cap_s=300.0, rng=self._rng),
            error_backoff=neighbour,
        )
        await self.place.open(queue.add)
        for run in (leadership.run, watch.run, reports.run, self.reconciler.run):
            self._tasks.append(asyncio.create_task(run()))
        await settle()

    async def kill_manager(self) -> None:
        """Stop it dead: nothing of it does anything any more, its workers live on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._queue.close()
        await settle()

    async def pass_time(self, seconds: float, *, beat: bool = True) -> None:
        """Let time pass in steps of ten seconds, in each of which healthy workers are heard of."""
        while seconds > 0:
            step = min(seconds, 10.0)
            await self.clock.advance(step)
            seconds -= step
            if beat:
                self.beat()
            await settle()

    def beat(self) -> None:
        for camera_id, worker in self.place.living().items():
            if camera_id not in self.place.hung:
                self.plane.heartbeat(camera_id, worker.epoch)

    def status(self, camera_id: str) -> str:
        return self.plane.cameras[camera_id].row.worker_status


@contextlib.asynccontextmanager
async def running_site(*, seed: int = 7) -> AsyncIterator[Site]:
    """A site whose manager is running, and ended at the end."""
    site = Site(seed=seed)
    await site.start_manager()
    try:
        yield site
    finally:
        await site.kill_manager()
