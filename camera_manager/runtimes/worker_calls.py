"""What a place of workers asks them directly, and what can become of the asking."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Protocol

from service_runtime.secret import Secret


class Answer(Enum):
    """What became of a wish."""

    DONE = auto()
    """It is as wished."""
    REFUSED = auto()
    """The worker will not; asking again changes nothing."""
    TOKEN_REFUSED = auto()
    """The camera's token does not hold; a new one helps."""
    AWAY = auto()
    """Nobody answered: it does not listen yet, or not any more."""


class WorkerCalls(Protocol):
    """Speaks to workers at gRPC targets; no call raises."""

    async def drain(self, target: str, *, reason: str) -> bool:
        """Ask a worker to report what it holds and to end; return whether it took the wish."""
        ...

    async def take(self, target: str, *, camera_id: str, token: Secret) -> Answer:
        """Have a worker watch a camera."""
        ...

    async def drop(self, target: str, *, camera_id: str, reason: str, deadline_s: float) -> Answer:
        """Have a worker let go of a camera; DONE once it has."""
        ...

    async def cameras(self, target: str) -> Mapping[str, str] | None:
        """Return a worker's cameras, each with its ending, empty while it is watched.

        None where nobody answered.
        """
        ...
