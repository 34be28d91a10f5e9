"""What a picture shows: a frame, the faces in it and what is known of each, and the zones.

Plain values. The pipeline and the assignment fill them, ``drawing`` draws them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service_runtime.polygons import Point, named_polygons
from vision_worker.decode.frame import Frame
from vision_worker.sightings.decision import Decision

_MOST_ZONES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFace:
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
    faces: tuple[ShownFace, ...] = ()
    zones: tuple[Zone, ...] = ()
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a picture is wanted; viewers who want the same form share one encoding."""

    longest_side: int
    annotated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPicture:
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
    """Return the zones of a camera's ``zone_config``, cut off where they leave the picture."""
    return tuple(
        Zone(name=name, polygon=tuple((_inside(x), _inside(y)) for x, y in corners))
        for name, corners in named_polygons(config.get("zones"))[:_MOST_ZONES]
    )


def _inside(fraction: float) -> float:
    return min(max(fraction, 0.0), 1.0)
