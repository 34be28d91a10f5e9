"""A place for workers without processes, which notices when a rule of workers is broken."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from camera_manager.runtimes.port import EndKind, ObservedWorker, WorkerEnd, WorkerSpec, pod_name
from tests.support.virtual_clock import VirtualClock


class FakePlace:
    """Keeps its workers when a manager dies: open it again for the next one."""

    namespace = "nowhere"
    image = "nothing"

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.held: dict[str, ObservedWorker] = {}
        self.started: list[tuple[float, WorkerSpec]] = []
        self.stops: list[tuple[str, str, float]] = []
        self.erased: list[str] = []
        self.hung: set[str] = set()
        self.targets: dict[str, str] = {}
        self.start_error: OSError | None = None
        self._on_change: Callable[[str], None] = lambda _camera_id: None

    async def open(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        now = self.clock.monotonic()
        self.held = {
            camera_id: replace(worker, known_since=now, asked_to_end=False)
            for camera_id, worker in self.held.items()
        }

    def workers(self) -> Mapping[str, ObservedWorker]:
        return dict(self.held)

    def living(self) -> dict[str, ObservedWorker]:
        return {name: worker for name, worker in self.held.items() if worker.end is None}

    def target(self, camera_id: str) -> str | None:
        return self.targets.get(camera_id) if camera_id in self.living() else None

    def traces(self) -> frozenset[str]:
        return frozenset(self.held)

    async def start(self, spec: WorkerSpec) -> None:
        if self.start_error is not None:
            raise self.start_error
        if spec.camera_id in self.living():
            raise AssertionError("two workers of one camera")
        self.started.append((self.clock.monotonic(), spec))
        self.held[spec.camera_id] = ObservedWorker(
            camera_id=spec.camera_id,
            pod_name=pod_name(spec.camera_id),
            epoch=spec.epoch,
            generation=spec.generation,
            started_at=self.clock.now(),
            known_since=self.clock.monotonic(),
        )

    async def stop(self, camera_id: str, *, reason: str, grace_s: float) -> None:
        worker = self.living().get(camera_id)
        if worker is None:
            return
        self.stops.append((camera_id, reason, grace_s))
        self.held[camera_id] = replace(worker, asked_to_end=True)
        if camera_id in self.hung and grace_s > 0:
            await self.clock.sleep(grace_s)
        else:
            await asyncio.sleep(0)
        self.end(camera_id, EndKind.DRAINED)

    def end(self, camera_id: str, kind: EndKind) -> None:
        """End a worker from outside."""
        worker = self.living().get(camera_id)
        if worker is None:
            return
        lived_s = (self.clock.now() - worker.started_at).total_seconds()
        self.held[camera_id] = replace(worker, end=WorkerEnd(kind=kind, lived_s=lived_s))
        self.hung.discard(camera_id)
        self._on_change(camera_id)

    def forget(self, camera_id: str) -> None:
        if camera_id not in self.living():
            self.held.pop(camera_id, None)

    async def erase(self, camera_id: str) -> None:
        self.forget(camera_id)
        self.erased.append(camera_id)

    async def close(self, *, grace_s: float) -> None:
        stops = [self.stop(name, reason="closed", grace_s=grace_s) for name in self.living()]
        await asyncio.gather(*stops)
