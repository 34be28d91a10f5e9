"""What the reconciler needs of a place where workers can live.

A place (local processes; pods of a cluster) starts, observes and ends workers and decides nothing.
It may know epochs and tokens; it knows neither what is wanted nor why a worker failed before. Every
end of a worker stays visible until the reconciler has taken note of it and calls ``forget``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from service_runtime.secret import Secret


class EndKind(Enum):
    """Why a worker ended."""

    DRAINED = "drained"
    """It was told to end, or had nothing left to do."""
    BAD_SETTINGS = "bad_settings"
    """It cannot work with what it was given; trying again changes nothing."""
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason, not a token
    """Its token was refused; a new one helps."""
    KILLED = "killed"
    """A signal ended it."""
    OUT_OF_MEMORY = "out_of_memory"
    """It took more memory than it was allowed."""
    CRASHED = "crashed"
    """It ended in any other way."""
    HUNG = "hung"
    """It lived and was not heard of, and was ended for it."""

    @property
    def failure_reason(self) -> str:
        """The word of the contract's closed list that comes closest."""
        return _FAILURE_REASONS[self]


_FAILURE_REASONS = {
    EndKind.DRAINED: "ended",
    EndKind.BAD_SETTINGS: "model_unavailable",
    # not `unauthorized`: that is what a camera says of its password
    EndKind.TOKEN_REFUSED: "crashed",
    EndKind.KILLED: "killed",
    EndKind.OUT_OF_MEMORY: "out_of_memory",
    EndKind.CRASHED: "crashed",
    EndKind.HUNG: "timeout",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnd:
    """How a worker ended, and after how many seconds of life."""

    kind: EndKind
    lived_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """What a worker is started with; ``token`` is bound to the camera and the epoch."""

    camera_id: str
    epoch: int
    generation: int
    token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedWorker:
    """One worker as its place sees it.

    ``known_since`` is this manager's monotonic time, in seconds, of the start or the adoption;
    ``asked_to_end`` is true once ``stop`` was called, so that the end is no failure.
    """

    camera_id: str
    pod_name: str
    epoch: int
    generation: int
    started_at: datetime
    known_since: float
    asked_to_end: bool = False
    end: WorkerEnd | None = None


class WorkerRuntime(Protocol):
    """A place where workers live. At most one worker of a camera lives in it at any time."""

    @property
    def namespace(self) -> str:
        """Name of the place, such as ``local``."""
        ...

    @property
    def image(self) -> str:
        """What workers run, such as ``process``."""
        ...

    async def open(self, on_change: Callable[[str], None]) -> None:
        """Adopt the workers of a lost manager; call back with the camera of each that ends.

        One that ended while no manager looked is adopted as well, with its end.
        """
        ...

    def workers(self) -> Mapping[str, ObservedWorker]:
        """Return the workers by camera: the living, and the ended that nobody forgot yet."""
        ...

    def target(self, camera_id: str) -> str | None:
        """Return where the living worker of a camera is reached; None where there is none."""
        ...

    def traces(self) -> frozenset[str]:
        """Return the cameras of which anything is left here, be it only files."""
        ...

    async def start(self, spec: WorkerSpec) -> None:
        """Start a worker.

        Raises:
            OSError: The place cannot start it now.
            RuntimeError: A worker of this camera lives already.
        """
        ...

    async def stop(self, camera_id: str, *, reason: str, grace_s: float) -> None:
        """End a worker and return once it is gone: asked first, killed after ``grace_s`` seconds.

        A camera without a living worker is none the worse for it.
        """
        ...

    def forget(self, camera_id: str) -> None:
        """Drop what is remembered of an ended worker; its unsent reports stay."""
        ...

    async def erase(self, camera_id: str) -> None:
        """Remove everything of a camera without a living worker, its unsent reports too."""
        ...

    async def close(self, *, grace_s: float) -> None:
        """End all workers, together, as ``stop`` does."""
        ...


def pod_name(camera_id: str) -> str:
    """Return the name that a camera's worker goes by in every place."""
    return f"camera-worker-{camera_id}"
