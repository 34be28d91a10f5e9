"""What a picture shows: a frame, the faces in it and what is known of each, and the zones.

Plain values. The pipeline and the assignment fill them, ``drawing`` draws them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from vision_worker.decision import Decision
from vision_worker.decode.frame import Frame

_MOST_ZONES = 50
_MOST_CORNERS = 100
_LONGEST_NAME = 80

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFace:
    """A tracked face in a frame.

    Attributes:
        box: x, y, width, height as fractions of the picture.
        quality: 0 to 1, of this view.
        decision: over the track so far; None before the first.
        person_id: the person of a match, the closest one of a review.
        name: what the person is called, where that is known.
        score: similarity behind the decision.
    """

    box: tuple[float, float, float, float]
    quality: float
    decision: Decision | None = None
    person_id: str | None = None
    name: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A part of the picture that people are counted in; corners are fractions of the picture."""

    name: str
    polygon: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A frame with all that can be drawn into it.

    Attributes:
        notice: set where the frame is no longer what the camera shows; says since when and why.
    """

    frame: Frame
    faces: tuple[SeenFace, ...] = ()
    zones: tuple[Zone, ...] = ()
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a picture is wanted; viewers who want the same form share one encoding."""

    longest_side: int
    annotated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An encoded picture.

    Attributes:
        captured_at: when the camera showed it, UTC.
        live: whether the camera shows it now; else it stands in while there is none.
    """

    jpeg: bytes
    captured_at: datetime
    width: int
    height: int
    live: bool = True


def zones_of(config: Mapping[str, Any]) -> tuple[Zone, ...]:
    """Return the zones of a camera's ``zone_config``; whatever has no polygon is passed over."""
    return tuple(_zones(config.get("zones")))[:_MOST_ZONES]


def _zones(found: Any) -> Iterator[Zone]:  # noqa: ANN401 somebody's JSON
    for one in found if isinstance(found, list) else ():
        corners = one.get("polygon") if isinstance(one, dict) else None
        points = [_point(corner) for corner in corners] if isinstance(corners, list) else []
        if 3 <= len(points) <= _MOST_CORNERS and all(point is not None for point in points):
            name = one.get("name")
            yield Zone(
                name=name[:_LONGEST_NAME] if isinstance(name, str) else "",
                polygon=tuple(point for point in points if point is not None),
            )


def _point(corner: Any) -> Point | None:  # noqa: ANN401 somebody's JSON
    if not isinstance(corner, list) or len(corner) != 2:  # noqa: PLR2004 x and y
        return None
    x, y = corner
    numbers = isinstance(x, int | float) and isinstance(y, int | float)
    if not numbers or not (isfinite(x) and isfinite(y)):
        return None
    return min(max(float(x), 0.0), 1.0), min(max(float(y), 0.0), 1.0)
