"""Rules about the zones of a camera: named areas of its picture, each a simple polygon. Pure.

`zone_config` is JSON that an operator keeps as he likes; `zones` in it is what workers count people
by, so it has to be right: an area that crosses itself has no inside. Nothing is repaired, because
what is stored is what came. Orientation is decided exactly, in fractions where floats are too close
to call (J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997, says why it matters).
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any, Final, TypeAlias

from service_runtime.errors import FieldViolation, InvalidArgument

MOST_ZONES: Final = 50
MOST_POINTS: Final = 100
MOST_POINTS_IN_ALL: Final = 1000
LONGEST_NAME: Final = 200
LONGEST_KIND: Final = 64
LEAST_AREA: Final = 1e-6
"""Of the picture; two pixels of 1920 x 1080."""
_MOST_TOLD: Final = 10
_TOO_CLOSE: Final = 1e-12  # far above the error of the float determinant for coordinates in 0..1

Point: TypeAlias = tuple[float, float]


def check_zones(zone_config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration as it came, its zones being right; without `zones`, anything is.

    Raises:
        InvalidArgument: ``ZONES_INVALID``, with a violation for each of the first problems.
    """
    if "zones" not in zone_config:
        return zone_config
    found: list[FieldViolation] = []
    for violation in _problems(zone_config["zones"]):
        found.append(violation)
        if len(found) == _MOST_TOLD:
            break
    if found:
        raise InvalidArgument(
            "ZONES_INVALID",
            f"The zones are not right: {found[0].field} {found[0].description}.",
            violations=found,
        )
    return zone_config


def polygon_problem(points: Sequence[Point]) -> str:
    """Return what keeps a ring of points from being a simple polygon; nothing where it is one.

    Args:
        points: (x, y) in 0 to 1, without the first point again at the end.
    """
    if len(points) < 3:
        return "must have at least 3 points"
    if any(first == second for first, second in _edges(points)):
        return "must not have the same point twice in a row"
    edges = list(_edges(points))
    for (i, one), (j, other) in combinations(enumerate(edges), 2):
        if j == i + 1 or (i == 0 and j == len(edges) - 1):
            if _folds_back(one, other) if j == i + 1 else _folds_back(other, one):
                return "must not turn back on itself"
        elif _touch(one, other):
            return "must not cross or touch itself"
    if _area(points) < LEAST_AREA:
        return f"must enclose at least {LEAST_AREA:g} of the picture"
    return ""


Edge: TypeAlias = tuple[Point, Point]


def _problems(zones: object) -> Iterator[FieldViolation]:
    path = "zone_config.zones"
    if not isinstance(zones, list):
        yield FieldViolation(field=path, description="must be a list")
        return
    if len(zones) > MOST_ZONES:
        yield FieldViolation(field=path, description=f"must be at most {MOST_ZONES}")
        return
    points = sum(len(z["polygon"]) for z in zones if _has_polygon(z))
    if points > MOST_POINTS_IN_ALL:
        told = f"must have at most {MOST_POINTS_IN_ALL} points in all"
        yield FieldViolation(field=path, description=told)
        return
    names: set[str] = set()
    for number, zone in enumerate(zones):
        for field, told in _zone_problems(zone, names):
            yield FieldViolation(field=f"{path}[{number}]{field}", description=told)


def _has_polygon(zone: object) -> bool:
    return isinstance(zone, dict) and isinstance(zone.get("polygon"), list)


def _zone_problems(zone: object, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield field and problem; `names` are those of the zones before, and gets this one's."""
    if not isinstance(zone, dict):
        yield "", "must be an object with name, kind and polygon"
        return
    name, kind = zone.get("name"), zone.get("kind", "")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        yield ".name", "must be printable text"
    elif len(name) > LONGEST_NAME:
        yield ".name", f"must have at most {LONGEST_NAME} characters"
    elif name in names:
        yield ".name", "must differ from the names before it"
    else:
        names.add(name)
    if not isinstance(kind, str) or len(kind) > LONGEST_KIND:
        yield ".kind", f"must be text of at most {LONGEST_KIND} characters"
    yield from _polygon_problems(zone.get("polygon"))


def _polygon_problems(polygon: object) -> Iterator[tuple[str, str]]:
    if not isinstance(polygon, list):
        yield ".polygon", "must be a list of [x, y]"
        return
    if len(polygon) > MOST_POINTS:
        yield ".polygon", f"must have at most {MOST_POINTS} points"
        return
    points: list[Point] = []
    for number, pair in enumerate(polygon):
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_share, pair)):
            yield f".polygon[{number}]", "must be [x, y], both from 0 to 1"
            return
        points.append((float(pair[0]), float(pair[1])))
    if len(points) > 3 and points[0] == points[-1]:
        points.pop()  # a ring that is closed on paper is the same ring
    if problem := polygon_problem(points):
        yield ".polygon", problem


def _is_share(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= 1
    )


def _edges(points: Sequence[Point]) -> Iterator[Edge]:
    return zip(points, [*points[1:], points[0]], strict=True)


def _area(points: Sequence[Point]) -> float:
    """Return the area by the shoelace formula."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in _edges(points))) / 2


def _side(a: Point, b: Point, c: Point) -> int:
    """Return 1 where c is left of the way from a to b, -1 where it is right, 0 on its line."""
    turn = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if abs(turn) > _TOO_CLOSE:
        return 1 if turn > 0 else -1
    (ax, ay), (bx, by), (cx, cy) = ((Fraction(p[0]), Fraction(p[1])) for p in (a, b, c))
    exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return (exact > 0) - (exact < 0)


def _folds_back(one: Edge, after: Edge) -> bool:
    """Tell whether the edge after another goes back over it."""
    a, b, c = *one, after[1]
    ahead = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
    return ahead < 0 and _side(a, b, c) == 0


def _touch(one: Edge, other: Edge) -> bool:
    """Tell whether two edges have a point in common."""
    (a, b), (c, d) = one, other
    if (
        max(a[0], b[0]) < min(c[0], d[0])
        or max(c[0], d[0]) < min(a[0], b[0])
        or max(a[1], b[1]) < min(c[1], d[1])
        or max(c[1], d[1]) < min(a[1], b[1])
    ):
        return False
    # their boxes overlap, so edges on one line touch, and others where each parts the other's ends
    return _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0
