"""Decides what to do about one camera: wish and reality in, one step and what to report out.

Pure: no input but the arguments, so that every rule is a row in a table of tests. The reconciler
carries the step out and asks again; nothing here depends on how the present state came about.
"""

from dataclasses import dataclass
from datetime import datetime

from camera_manager.cameras import CameraView, Link
from camera_manager.failures import Failures
from camera_manager.runtimes.port import EndKind, ObservedWorker

SILENT_AFTER_S = 45.0
"""A worker is heard of every 10 s; four lost heartbeats are no accident."""
SILENT_AT_START_AFTER_S = 90.0
"""Until its first heartbeat a worker loads models, on a machine that may be starting many."""
GRACE_S = 5.0

_NOT_OF_A_LIVING_WORKER = frozenset({"", "pending", "stopped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Open a new epoch and start a worker in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End the worker, then look again; ``failure`` counts as one of the camera's failures."""

    reason: str
    grace_s: float = GRACE_S
    failure: EndKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again at a monotonic time."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Relist:
    """Read everything anew before something is done that an old view must not decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """The camera is gone: remove what is left of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """All is as it should be until something changes."""


Action = Start | Stop | Wait | Relist | Erase | Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What the manager says of one camera's worker; the fields are the contract's."""

    camera_id: str
    epoch: int
    worker_status: str
    health_status: str = "unknown"
    failure_reason: str = "none"
    error_count: int = 0
    next_retry_at: datetime | None = None
    observed_generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One step, and what the record should say; None where the record is right already."""

    action: Action
    report: WorkerReport | None = None


def plan(
    *,
    camera: CameraView | None,
    worker: ObservedWorker | None,
    failures: Failures,
    link: Link,
    now: float,
) -> Plan:
    """Decide the next step for one camera.

    Args:
        camera: The wish and the record; None where the camera is gone.
        worker: The living worker; None where none lives.
        failures: Its failures in a row.
        link: The connection to the control plane.
        now: Monotonic seconds, of the same clock as every time in the other arguments.
    """
    if camera is None:
        return Plan(action=Erase() if worker is None else Stop(reason="deleted"))
    if not camera.wanted:
        return _plan_unwanted(camera, worker)
    if worker is None:
        return _plan_absent(camera, failures, now)
    return _plan_living(camera, worker, failures, link, now)


def _plan_unwanted(camera: CameraView, worker: ObservedWorker | None) -> Plan:
    if worker is not None:
        report = WorkerReport(
            camera_id=camera.camera_id,
            epoch=worker.epoch,
            worker_status="stopping",
            observed_generation=worker.generation,
        )
        return Plan(action=Stop(reason="stopped"), report=_unless_known(report, camera))
    if camera.row.worker_status in {"", "stopped"}:
        return Plan(action=Rest())
    return Plan(
        action=Rest(),
        report=WorkerReport(
            camera_id=camera.camera_id,
            epoch=camera.epoch,
            worker_status="stopped",
            observed_generation=camera.generation,
        ),
    )


def _plan_absent(camera: CameraView, failures: Failures, now: float) -> Plan:
    hopeless = failures.hopeless_generation == camera.generation
    if not hopeless and (failures.retry_at is None or failures.retry_at <= now):
        return Plan(action=Start())
    report = WorkerReport(
        camera_id=camera.camera_id,
        epoch=camera.epoch,
        worker_status="failed" if hopeless else "backoff",
        health_status="unhealthy",
        failure_reason=failures.reason,
        error_count=failures.count,
        next_retry_at=None if hopeless else failures.next_retry_at,
        observed_generation=camera.generation,
    )
    if hopeless or failures.retry_at is None:
        return Plan(action=Rest(), report=_unless_known(report, camera))
    return Plan(action=Wait(until=failures.retry_at), report=_unless_known(report, camera))


def _plan_living(
    camera: CameraView, worker: ObservedWorker, failures: Failures, link: Link, now: float
) -> Plan:
    if _superseded(camera, worker, link):
        return Plan(action=Stop(reason="superseded"))
    report = None
    if camera.row.epoch != worker.epoch or camera.row.worker_status in _NOT_OF_A_LIVING_WORKER:
        report = starting_report(worker, failures)
    if link.up_since is None:
        return Plan(action=Wait(until=now + SILENT_AFTER_S), report=report)
    deadline = max(worker.known_since + SILENT_AT_START_AFTER_S, link.up_since + SILENT_AFTER_S)
    if camera.heard_at is not None and camera.heard_at > worker.known_since:
        deadline = max(camera.heard_at, link.up_since) + SILENT_AFTER_S
    if now < deadline:
        return Plan(action=Wait(until=deadline), report=report)
    if link.listed_at < deadline:
        return Plan(action=Relist(), report=report)
    return Plan(action=Stop(reason="silent", grace_s=0.0, failure=EndKind.HUNG))


def starting_report(worker: ObservedWorker, failures: Failures) -> WorkerReport:
    """Return what is said of a worker that has not spoken for itself yet."""
    return WorkerReport(
        camera_id=worker.camera_id,
        epoch=worker.epoch,
        worker_status="starting",
        error_count=failures.count,
        observed_generation=worker.generation,
    )


def _superseded(camera: CameraView, worker: ObservedWorker, link: Link) -> bool:
    """Say whether another epoch is in force than the worker's.

    Right after a start the view may lag behind: a lower epoch counts only in a list that was asked
    for later.
    """
    if camera.epoch > worker.epoch:
        return True
    return camera.epoch < worker.epoch and link.listed_at > worker.known_since


def _unless_known(report: WorkerReport, camera: CameraView) -> WorkerReport | None:
    row = camera.row
    said = (row.epoch, row.worker_status, row.failure_reason, row.error_count)
    wish = (report.epoch, report.worker_status, report.failure_reason, report.error_count)
    return None if said == wish else report
