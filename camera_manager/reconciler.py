"""Makes reality what is wanted, camera by camera, over and over.

Level-triggered: a key says "look at this camera", never what happened. A look reads everything,
lets `plan` compare, takes one step and says when to look next; whatever is cut off half-way is
found by the next look. Looks at one camera never overlap, and one camera's trouble delays no other.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from camera_manager import plan as planning
from camera_manager.camera_watch import CameraWatch
from camera_manager.cameras import CameraView
from camera_manager.failures import NO_FAILURES, Failures, after_end, recalled, without_wait
from camera_manager.leadership import Leadership
from camera_manager.plan import WorkerReport, plan
from camera_manager.runtime_reports import RuntimeReports
from camera_manager.runtimes.port import (
    EndKind,
    ObservedWorker,
    WorkerEnd,
    WorkerRuntime,
    WorkerSpec,
)
from camera_manager.work_queue import WorkQueue
from camera_manager.worker_tokens import ControlPlaneAway, WorkerTokens
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock
from service_runtime.errors import FailedPrecondition, NotFound, Unavailable
from service_runtime.identifiers import parse_id
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

_LOOKS_AT_ONCE = 32
_REPEAT_REPORT_AFTER_S = 10.0
_VIEW_LAGS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing to do until something changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    """Look again after some seconds; 0 is at once."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The step did not work, for no fault of the camera; look again with backoff."""

    why: str


Outcome = Done | LookAgain | Failed


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What the manager remembers of a camera; all of it can be lost."""

    failures: Failures = NO_FAILURES
    retry_counter: int = 0
    reported: WorkerReport | None = None
    reported_at: float = 0.0
    errors: int = field(default=0)


class Reconciler:
    """Looks at cameras as their keys come out of the queue.

    Args:
        cameras: What is wanted.
        runtime: What lives, opened.
        tokens: Opens epochs.
        reports: Takes what is seen.
        leadership: Whether this manager may act.
        queue: Gives the keys.
        clock: Where time comes from.
        worker_backoff: Waits between the lives of a worker that fails.
        error_backoff: Waits after a step that failed for another reason.
    """

    def __init__(
        self,
        *,
        cameras: CameraWatch,
        runtime: WorkerRuntime,
        tokens: WorkerTokens,
        reports: RuntimeReports,
        leadership: Leadership,
        queue: WorkQueue,
        clock: Clock,
        worker_backoff: Backoff,
        error_backoff: Backoff,
    ) -> None:
        self._cameras = cameras
        self._runtime = runtime
        self._tokens = tokens
        self._reports = reports
        self._leadership = leadership
        self._queue = queue
        self._clock = clock
        self._worker_backoff = worker_backoff
        self._error_backoff = error_backoff
        self._memories: dict[str, _Memory] = {}

    @property
    def reconciling(self) -> bool:
        """Whether it knows what is wanted and no other manager acts, and so acts."""
        return self._cameras.listed.is_set() and self._leadership.holds

    async def run(self) -> None:
        """Look at cameras until cancelled."""
        await self._cameras.listed.wait()
        for camera_id in self._runtime.traces():
            self._queue.add(camera_id)  # what nobody wants any more is in no list
        async with asyncio.TaskGroup() as looks:
            for number in range(_LOOKS_AT_ONCE):
                looks.create_task(self._look_at_keys(), name=f"reconcile-{number}")

    async def restart(self, camera_id: str) -> None:
        """End a camera's worker and have a new one started at once, whatever its backoff says.

        Returns when the old worker is gone, so that not even a lost manager forgets the wish.

        Raises:
            NotFound: No camera has this id.
            FailedPrecondition: The camera shall not run.
            Unavailable: The manager does not know the cameras yet.
        """
        camera_id = parse_id(camera_id, noun="camera")
        if not self._cameras.listed.is_set():
            raise Unavailable(
                "MANAGER_NOT_READY",
                "The camera manager has not heard from the control plane yet; try again shortly.",
            )
        if not self._leadership.holds:
            raise Unavailable(
                "MANAGER_STANDS_BY", "Another camera manager acts, or none yet; try again shortly."
            )
        camera = self._cameras.cameras.get(camera_id)
        if camera is None:
            raise NotFound(
                "CAMERA_NOT_FOUND",
                "No camera has this id; list them with GET /cameras.",
                camera_id=camera_id,
            )
        if not camera.wanted:
            raise FailedPrecondition(
                "CAMERA_NOT_ENABLED",
                "This camera is disabled, so it has no worker; enable it first.",
                camera_id=camera_id,
            )
        _log.info("worker.restarting", camera_id=camera_id)
        memory = self._memory_of(camera_id, camera)
        memory.failures = without_wait(memory.failures)
        await self._runtime.stop(camera_id, reason="restart", grace_s=planning.GRACE_S)
        self._queue.add(camera_id)

    async def look(self, camera_id: str) -> Outcome:
        """Compare wish and reality of one camera, take one step, say when to look again."""
        camera = self._cameras.cameras.get(camera_id)
        memory = self._memory_of(camera_id, camera)
        worker = self._living(camera_id, camera, memory)
        now = self._clock.monotonic()
        decided = plan(
            camera=camera,
            worker=worker,
            failures=memory.failures,
            link=self._cameras.link,
            now=now,
        )
        if not self._leadership.holds:
            return LookAgain(seconds=0)  # overtaken just now; the next look waits
        repeat_after = self._report(memory, decided.report)
        outcome = await self._act(camera_id, camera, memory, decided.action)
        if repeat_after is None or isinstance(outcome, Failed):
            return outcome
        if isinstance(outcome, LookAgain):
            return LookAgain(seconds=min(outcome.seconds, repeat_after))
        return LookAgain(seconds=repeat_after)

    async def _look_at_keys(self) -> None:
        while True:
            camera_id = await self._queue.take()
            try:
                await self._leadership.wait()
                outcome = await self.look(camera_id)
            except Exception as error:  # noqa: BLE001 the loop of the reconciler: one camera's
                # trouble, of whatever kind, must not end the others
                _log.error("reconcile.failed", camera_id=camera_id, exc_info=error)
                outcome = Failed(why=type(error).__name__)
            self._schedule(camera_id, outcome)
            self._queue.done(camera_id)

    def _schedule(self, camera_id: str, outcome: Outcome) -> None:
        memory = self._memories.get(camera_id)
        errors = 0
        match outcome:
            case LookAgain(seconds=seconds):
                self._queue.add_after(camera_id, seconds)
            case Failed(why=why):
                errors = (memory.errors if memory is not None else 0) + 1
                wait = self._error_backoff.delay(errors)
                _log.warning("reconcile.later", camera_id=camera_id, why=why, wait_s=round(wait, 3))
                # never at once: full jitter may draw 0, and the cause needs a moment to pass
                self._queue.add_after(camera_id, max(wait, 0.05))
        if memory is not None:
            memory.errors = errors

    async def _act(
        self, camera_id: str, camera: CameraView | None, memory: _Memory, action: planning.Action
    ) -> Outcome:
        match action:
            case planning.Start():
                return await self._start(camera_id, memory)
            case planning.Stop(reason=reason, grace_s=grace_s, failure=failure):
                _log.info("worker.stopping", camera_id=camera_id, reason=reason)
                worker = self._runtime.workers().get(camera_id)
                if failure is not None and camera is not None and worker is not None:
                    lived_s = self._clock.monotonic() - worker.known_since
                    self._count(memory, camera, WorkerEnd(kind=failure, lived_s=lived_s))
                await self._runtime.stop(camera_id, reason=reason, grace_s=grace_s)
                return LookAgain(seconds=0)
            case planning.Wait(until=until):
                return LookAgain(seconds=max(until - self._clock.monotonic(), 0.0))
            case planning.Relist():
                self._cameras.relist()
                return LookAgain(seconds=_VIEW_LAGS_S)
            case planning.Erase():
                await self._runtime.erase(camera_id)
                self._memories.pop(camera_id, None)
                return Done()
            case planning.Rest():
                return Done()

    async def _start(self, camera_id: str, memory: _Memory) -> Outcome:
        try:
            token = await self._tokens.issue(camera_id)
        except ControlPlaneAway as error:
            return Failed(why=f"no worker token: {error}")
        camera = self._cameras.cameras.get(camera_id)
        if token is None or camera is None or not camera.wanted:
            # the view lags behind, or has just caught up
            return LookAgain(seconds=_VIEW_LAGS_S if token is None else 0)
        spec = WorkerSpec(
            camera_id=camera_id,
            epoch=token.epoch,
            generation=camera.generation,
            token=token.token,
        )
        try:
            await self._runtime.start(spec)
        except OSError as error:
            _log.error("worker.cannot_start", camera_id=camera_id, error=error.strerror or "")
            self._count(memory, camera, WorkerEnd(kind=EndKind.CRASHED, lived_s=0.0))
            return LookAgain(seconds=0)
        _log.info("worker.started", camera_id=camera_id, epoch=token.epoch)
        worker = self._runtime.workers()[camera_id]
        self._report(memory, planning.starting_report(worker, memory.failures))
        return LookAgain(seconds=0)

    def _living(
        self, camera_id: str, camera: CameraView | None, memory: _Memory
    ) -> ObservedWorker | None:
        """Return the living worker; take note of one that ended, once."""
        worker = self._runtime.workers().get(camera_id)
        if worker is None or worker.end is None:
            return worker
        if not worker.asked_to_end:
            _log.warning(
                "worker.ended",
                camera_id=camera_id,
                kind=worker.end.kind.value,
                lived_s=round(worker.end.lived_s, 1),
            )
            if camera is not None:
                self._count(memory, camera, worker.end)
        self._runtime.forget(camera_id)
        return None

    def _count(self, memory: _Memory, camera: CameraView, end: WorkerEnd) -> None:
        memory.failures = after_end(
            memory.failures,
            end,
            generation=camera.generation,
            now=self._clock.monotonic(),
            wall=self._clock.now(),
            backoff=self._worker_backoff,
        )

    def _memory_of(self, camera_id: str, camera: CameraView | None) -> _Memory:
        memory = self._memories.get(camera_id)
        if memory is None:
            memory = _Memory()
            if camera is not None:
                memory.retry_counter = camera.retry_counter
                memory.failures = recalled(
                    camera.row,
                    of_worker=camera_id in self._runtime.workers(),
                    now=self._clock.monotonic(),
                    wall=self._clock.now(),
                )
            self._memories[camera_id] = memory
        if camera is not None:
            if camera.retry_counter != memory.retry_counter:
                memory.retry_counter = camera.retry_counter
                memory.failures = without_wait(memory.failures)
            if not camera.wanted:
                memory.failures = NO_FAILURES
        return memory

    def _report(self, memory: _Memory, report: WorkerReport | None) -> float | None:
        """Submit a report unless the same was said just now; return when to look whether it stuck.

        The record follows a report with some delay, so an equal one is repeated only if the record
        still says otherwise after a while: an idle site writes nothing.
        """
        if report is None:
            return None
        now = self._clock.monotonic()
        repeat_after = memory.reported_at + _REPEAT_REPORT_AFTER_S - now
        if report != memory.reported or repeat_after <= 0:
            self._reports.submit(report)
            memory.reported = report
            memory.reported_at = now
            repeat_after = _REPEAT_REPORT_AFTER_S
        return repeat_after

    def ended_reports(self) -> Iterable[WorkerReport]:
        """Return what to say of the cameras whose workers were ended with the manager."""
        for camera_id, worker in self._runtime.workers().items():
            camera = self._cameras.cameras.get(camera_id)
            if camera is not None:
                yield WorkerReport(
                    camera_id=camera_id,
                    epoch=worker.epoch,
                    worker_status="stopped",
                    observed_generation=worker.generation,
                )
