"""How often a camera's worker failed in a row, and when it may be started again.

Pure. Waits are exponential with full jitter (`service_runtime.backoff`); ten minutes of life wipe
the count; bad settings wait for another configuration. `plan` reads the result.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from camera_manager.cameras import RuntimeRow
from camera_manager.runtimes.port import EndKind, WorkerEnd
from service_runtime.backoff import Backoff

HEALTHY_AFTER_S = 600.0
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failures in a row of one camera's worker.

    ``retry_at`` is monotonic and decides; ``next_retry_at`` is the same moment for people.
    ``hopeless_generation`` is the configuration that no further attempt can help.
    """

    count: int = 0
    reason: str = "none"
    retry_at: float | None = None
    next_retry_at: datetime | None = None
    hopeless_generation: int | None = None


NO_FAILURES = Failures()


def after_end(
    failures: Failures,
    end: WorkerEnd,
    *,
    generation: int,
    now: float,
    wall: datetime,
    backoff: Backoff,
) -> Failures:
    """Return the failures after a worker ended that nobody asked to.

    Args:
        failures: What was before.
        end: How it ended.
        generation: Configuration that it ran with.
        now: Monotonic seconds.
        wall: The same moment as wall-clock time.
        backoff: Draws the wait; the first is at most ``initial_s``.
    """
    count = 1 if end.lived_s >= HEALTHY_AFTER_S else failures.count + 1
    if end.kind is EndKind.BAD_SETTINGS:
        return Failures(count=count, reason=end.kind.failure_reason, hopeless_generation=generation)
    at_once = end.kind is EndKind.TOKEN_REFUSED and count == 1
    wait = 0.0 if at_once else backoff.delay(count)
    return Failures(
        count=count,
        reason=end.kind.failure_reason,
        retry_at=now + wait,
        next_retry_at=wall + timedelta(seconds=wait),
    )


def without_wait(failures: Failures) -> Failures:
    """Return the failures after somebody asked to try again at once; the count stays."""
    return replace(failures, retry_at=None, next_retry_at=None, hopeless_generation=None)


def recalled(row: RuntimeRow, *, of_worker: bool, now: float, wall: datetime) -> Failures:
    """Return what a new manager takes over from the record of its predecessor.

    The wait goes on where it was left, but never longer than a fresh one could be; a camera that
    was given up is tried again, because the settings may be other ones now.

    Args:
        row: The record.
        of_worker: There is a worker, be it one that has ended since: once it has spoken, errors and
            waits on record are those of its source, which say nothing about its own lives.
        now: Monotonic seconds.
        wall: The same moment as wall-clock time.
    """
    untold = row.worker_status == "starting" and row.failure_reason == "none"
    if row.worker_status == "pending" or untold:
        return Failures(count=row.error_count, reason=row.failure_reason)
    if of_worker or row.worker_status != "backoff":
        return NO_FAILURES
    if row.next_retry_at is None:
        return Failures(count=row.error_count, reason=row.failure_reason)
    left = min(max((row.next_retry_at - wall).total_seconds(), 0.0), _LONGEST_WAIT_S)
    return Failures(
        count=row.error_count,
        reason=row.failure_reason,
        retry_at=now + left,
        next_retry_at=wall + timedelta(seconds=left),
    )
