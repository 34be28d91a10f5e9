"""Which zones of a camera a face is in. Pure.

A sighting's box is that of a face, so there is no foot to stand on: the centre of the box decides.
A zone is a polygon of at least three points in fractions of the picture; a point on its edge is
inside. Polygons that cross themselves count by the even-odd rule. Cameras keep whatever JSON they
were given, so what is no zone is passed over.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

Point = tuple[float, float]

_MOST_ZONES: Final = 200
_MOST_POINTS: Final = 1_000
_ON_THE_EDGE: Final = 1e-9


def centre_of(box: Mapping[str, Any]) -> Point:
    """Return the centre of a box of ``x``, ``y``, ``width`` and ``height``."""
    x, y, width, height = (float(box.get(key, 0)) for key in ("x", "y", "width", "height"))
    return x + width / 2, y + height / 2


def zones_with(point: Point, zone_config: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the zones that a point is in."""
    return frozenset(
        name for name, polygon in polygons_of(zone_config) if is_inside(point, polygon)
    )


def polygons_of(zone_config: Mapping[str, Any]) -> list[tuple[str, list[Point]]]:
    """Return the name and polygon of each zone that is one."""
    zones = zone_config.get("zones")
    found: list[tuple[str, list[Point]]] = []
    for zone in zones[:_MOST_ZONES] if isinstance(zones, list) else ():
        name = zone.get("name") if isinstance(zone, Mapping) else None
        polygon = _polygon(zone.get("polygon")) if isinstance(zone, Mapping) else None
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
