"""Polygons in fractions of a picture: read from JSON, and which points they hold. Pure.

A polygon has at least three points; a point on its edge is inside. Polygons that cross themselves
count by the even-odd rule. What is no polygon is passed over, because whoever keeps the JSON may
hold an older one that no rule has checked.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Point: TypeAlias = tuple[float, float]

_MOST_POLYGONS: Final = 200
_MOST_POINTS: Final = 1_000
_ON_THE_EDGE: Final = 1e-9


def named_polygons(entries: object) -> list[tuple[str, list[Point]]]:
    """Return the name and corners of each `{name, polygon: [[x, y], …]}` of a list that is one."""
    found: list[tuple[str, list[Point]]] = []
    for entry in entries[:_MOST_POLYGONS] if isinstance(entries, list) else ():
        name = entry.get("name") if isinstance(entry, Mapping) else None
        polygon = _polygon(entry.get("polygon")) if isinstance(entry, Mapping) else None
        if isinstance(name, str) and name and polygon:
            found.append((name, polygon))
    return found


def is_inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Tell whether a point lies in a polygon or on its edge."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if _is_on((x, y), (x1, y1), (x2, y2)):
            return True
        # a ray to the right crosses the edge: counted half-open, so that a corner counts once
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside


def _is_on(point: Point, start: Point, end: Point) -> bool:
    """Tell whether a point lies on the line between two others."""
    (x, y), (x1, y1), (x2, y2) = point, start, end
    length = math.hypot(x2 - x1, y2 - y1)
    if length == 0:
        return math.hypot(x - x1, y - y1) <= _ON_THE_EDGE
    away = abs((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / length
    along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length
    return away <= _ON_THE_EDGE and -_ON_THE_EDGE <= along <= length + _ON_THE_EDGE


def _polygon(value: object) -> list[Point] | None:
    if not isinstance(value, list) or not 3 <= len(value) <= _MOST_POINTS:
        return None
    points: list[Point] = []
    for corner in value:
        if not isinstance(corner, list) or len(corner) != 2:
            return None
        x, y = corner
        if not _is_number(x) or not _is_number(y):
            return None
        points.append((float(x), float(y)))
    return points


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e6  # also false where it is not a number
    )
