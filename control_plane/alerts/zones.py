"""Which zones of a camera a face is in. Pure.

A sighting's box is that of a face, so there is no foot to stand on: the centre of the box decides.
Cameras keep whatever JSON they were given, so what is no zone is passed over. Workers count people
by the same polygons and the same point.
"""

from collections.abc import Mapping
from typing import Any

from service_runtime.polygons import Point, is_inside, named_polygons


def centre_of(box: Mapping[str, Any]) -> Point:
    """Return the centre of a box of ``x``, ``y``, ``width`` and ``height``."""
    x, y, width, height = (float(box.get(key, 0)) for key in ("x", "y", "width", "height"))
    return x + width / 2, y + height / 2


def zones_with(point: Point, zone_config: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the zones that a point is in."""
    return frozenset(
        name
        for name, polygon in named_polygons(zone_config.get("zones"))
        if is_inside(point, polygon)
    )
