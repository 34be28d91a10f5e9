"""What is observed of a worker: its states, and which events a change of them is worth.

Pure: rows and reports come in, names of events go out. ``store.py`` applies it in a transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from service_runtime.errors import FieldViolation, InvalidArgument

SILENCE: Final = timedelta(seconds=30)
ANNOUNCE_EVERY: Final = timedelta(minutes=1)
_LONGEST_WORD: Final = 16

FAILURES: Final = {
    "dns": "The camera's name cannot be resolved; check the connection string.",
    "refused": "The camera refuses the connection; check its address and port.",
    "unreachable": "The camera cannot be reached; check its address and the network.",
    "unauthorized": "The camera refuses the credentials; check user and password.",
    "forbidden_address": "The camera's address is not allowed here; ask the administrator.",
    "not_found": "There is no such stream or file; check the path.",
    "not_a_stream": "What answers is no video; check the path.",
    "redirected": "The camera redirects elsewhere, which is not followed; enter its own address.",
    "tls": "No secure connection to the camera comes about; check its certificate.",
    "unsupported_codec": "The camera's codec is not supported; choose H.264 or H.265 on it.",
    "no_key_frame": "The stream sends no key frame; shorten its key-frame interval.",
    "stalled": "The stream has stopped sending; it is tried again.",
    "ended": "The stream has ended.",
    "timeout": "The camera does not answer in time; it is tried again.",
    "crashed": "The worker has crashed; it is started again.",
    "killed": "The worker was killed; it is started again.",
    "out_of_memory": "The worker ran out of memory; give it more or lower the frame rate.",
    "image_pull": "The worker's image cannot be pulled; check its name and the registry.",
    "unschedulable": "No node has room for the worker; add one or free some.",
    "model_unavailable": "The model pack is not available; prepare it or choose another.",
    "overloaded": "The machine is too slow for this rate and looks at fewer frames a second.",
    "accelerator_unavailable": "The accelerator asked for is not there; the CPU does the work.",
    "none": "",
}

WORKED_ON: Final = ("accelerator_asked", "accelerator_used", "decoder")
"""Names, in a worker's heartbeat and what is kept of it, of what does its work."""

# states in which a worker is expected to be heard from
_LIVELY: Final = frozenset({"starting", "running", "stopping"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """How a worker is, in its own words or the manager's."""

    worker_status: str
    health_status: str
    failure_reason: str = "none"
    error_count: int = 0
    next_retry_at: datetime | None = None
    observed_generation: int = 0

    @property
    def state(self) -> tuple[str, str, str]:
        """What counts as a change of state."""
        return self.worker_status, self.health_status, self.failure_reason


def worked_on(health_info: Mapping[str, object]) -> dict[str, str]:
    """Return what a worker said does its work; empty where it said nothing, or nonsense."""
    told = {name: health_info.get(name) for name in WORKED_ON}
    return {
        name: word if isinstance(word, str) and len(word) <= _LONGEST_WORD else ""
        for name, word in told.items()
    }


def check_failure_reason(reason: str) -> str:
    """Return the reason.

    Raises:
        InvalidArgument: It is not in the closed list.
    """
    if reason not in FAILURES:
        raise InvalidArgument(
            "FAILURE_REASON_UNKNOWN",
            f"`failure_reason` must be one of: {', '.join(sorted(FAILURES))}.",
            violations=[FieldViolation(field="failure_reason", description="not in the list")],
        )
    return reason


def health_of_status(worker_status: str) -> str:
    """Return the health to assume where a heartbeat names only the worker's state."""
    if worker_status == "running":
        return "healthy"
    return "unhealthy" if worker_status in {"failed", "backoff"} else "unknown"


def current_health(
    *, worker_status: str, health_status: str, last_sign_at: datetime | None, now: datetime
) -> str:
    """Return the health as a reader should see it: unknown for a worker long unheard."""
    if worker_status in {"stopped", "pending"}:
        return "unknown"
    silent = last_sign_at is None or now - last_sign_at > SILENCE
    return "unknown" if worker_status in _LIVELY and silent else health_status


def events_of_change(
    before: Observation,
    after: Observation,
    *,
    heard: bool,
    announced_at: datetime | None,
    now: datetime,
) -> Sequence[str]:
    """Return the types of the events that a new observation is worth.

    Args:
        before: What was known.
        after: What is known now.
        heard: True where the worker itself spoke.
        announced_at: The newest ``worker.heartbeat`` event.
        now: The time.
    """
    types: list[str] = []
    failed = _has_failed(before, after)
    changed = before.state != after.state or failed
    due = announced_at is None or now - announced_at >= ANNOUNCE_EVERY
    if changed or (heard and due):
        types.append("worker.heartbeat")
    if before.worker_status != after.worker_status and after.worker_status in {
        "running",
        "stopped",
    }:
        types.append("worker.started" if after.worker_status == "running" else "worker.stopped")
    if failed:
        types.append("worker.error")
    return types


def _has_failed(before: Observation, after: Observation) -> bool:
    """Tell whether a failure lies between two observations; each failure counts once.

    A worker that tries again keeps the reason of its last failure in sight until it runs: what
    waits to be started, starts or has played to its end only remembers, and has not failed anew.
    """
    return _is_failing(after) and (
        not _is_failing(before)
        or before.failure_reason != after.failure_reason
        or before.error_count < after.error_count
    )


def _is_failing(observed: Observation) -> bool:
    degraded = observed.worker_status == "running" and observed.failure_reason != "none"
    return degraded or observed.worker_status in {"failed", "backoff"}
