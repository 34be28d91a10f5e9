"""Which of the shared processes a camera goes into, and whom to part after one of them died.

Pure. Which camera killed its process nobody can tell from outside, so its cameras are suspects:
they start again in groups of half the size, those who live on are left as they are, and those who
die again are halved again. A camera that kills its process is alone after as many deaths as it
takes to halve the group to one (three for eight), and disturbs fewer each time. An hour without a
further death clears a suspect, at its next start. ``packed`` asks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CLEARED_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """How many cameras, itself among them, a suspect may share a process with, and until when."""

    room: int
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A living process: how many cameras it has, and for how many it was started."""

    name: str
    cameras: int
    room: int


def after_death(
    suspicions: Mapping[str, Suspicion], cameras: Iterable[str], *, now: float
) -> dict[str, Suspicion]:
    """Return the suspicions after the process of these cameras died of something unknown.

    Args:
        suspicions: What was before; what is over is left out.
        cameras: Who was in the process.
        now: Monotonic seconds.
    """
    suspects = list(cameras)
    fresh = Suspicion(room=max(1, (len(suspects) + 1) // 2), until=now + CLEARED_AFTER_S)
    standing = {name: one for name, one in suspicions.items() if one.until > now}
    return standing | dict.fromkeys(suspects, fresh)


def room_of(suspicion: Suspicion | None, *, most: int, now: float) -> int:
    """Return how many cameras the process of a camera may have."""
    if suspicion is None or suspicion.until <= now:
        return most
    return min(suspicion.room, most)


def choose(places: Iterable[Place], *, room: int) -> str | None:
    """Return the process to go into: the fullest of the right size; None for a new one.

    Only processes of the same size come into question, so that no suspect meets somebody innocent.
    """
    fitting = [place for place in places if place.room == room and place.cameras < room]
    fullest = min(fitting, key=lambda place: (-place.cameras, place.name), default=None)
    return None if fullest is None else fullest.name
