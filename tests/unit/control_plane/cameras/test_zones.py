"""Zones: what is a simple polygon, what is not, and that a problem is named where it is."""

import copy
import math
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.cameras.zones import (
    MOST_POINTS,
    MOST_POINTS_IN_ALL,
    MOST_ZONES,
    Point,
    check_zones,
    polygon_problem,
)
from service_runtime.errors import InvalidArgument

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def zone(name: str = "door", **fields: Any) -> dict[str, Any]:
    return {"name": name, "kind": "count", "polygon": SQUARE} | fields


def violations(*zones: Any) -> dict[str, str]:
    with pytest.raises(InvalidArgument) as refused:
        check_zones({"zones": list(zones)})
    assert refused.value.reason == "ZONES_INVALID"
    return {violation.field: violation.description for violation in refused.value.violations}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"lines": [[0, 0], [7, 7]], "note": None},
        {"zones": []},
        {"zones": [zone(), zone("yard", polygon=[[0, 0], [1, 0], [0.5, 1]], extra={"a": [1]})]},
        {"zones": [zone(polygon=[*SQUARE, [0, 0]])]},
        {"zones": [{"name": "no kind", "polygon": SQUARE}], "version": 3},
        # concave, and with points on one line
        {"zones": [zone(polygon=[[0, 0], [0.5, 0], [1, 0], [1, 1], [0.5, 0.2], [0, 1]])]},
    ],
)
def test_what_is_right_is_kept_as_it_came(config: dict[str, Any]) -> None:
    before = copy.deepcopy(config)
    assert check_zones(config) == before


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ("door", "[1]", "must be an object"),
        ({"polygon": SQUARE}, "[1].name", "printable text"),
        (zone("  "), "[1].name", "printable text"),
        (zone("a\u202eb"), "[1].name", "printable text"),
        (zone("x" * 201), "[1].name", "at most 200"),
        (zone("first"), "[1].name", "must differ"),
        (zone(kind=3), "[1].kind", "must be text"),
        (zone(polygon=None), "[1].polygon", "must be a list"),
        (zone(polygon=SQUARE[:2]), "[1].polygon", "at least 3 points"),
        (zone(polygon=[*SQUARE[:2], SQUARE[0]]), "[1].polygon", "twice in a row"),
        (zone(polygon=[[0, 0], [1, 1], [1, 0], [0, 1]]), "[1].polygon", "cross or touch"),
        (zone(polygon=[[0, 0], [1, 0], [1, 0], [0, 1]]), "[1].polygon", "twice in a row"),
        (zone(polygon=[[0, 0], [0.5, 0.5], [1, 1]]), "[1].polygon", "turn back"),
        (zone(polygon=[[0, 0], [1e-4, 0], [0, 1e-4]]), "[1].polygon", "must enclose"),
        (zone(polygon=[[0, 0], [1, 0], [0.5, 2]]), "[1].polygon[2]", "from 0 to 1"),
        (zone(polygon=[[0, 0], [1, 0], [0.5, math.nan]]), "[1].polygon[2]", "from 0 to 1"),
        (zone(polygon=[[0, 0], [True, 0], [0.5, 1]]), "[1].polygon[1]", "from 0 to 1"),
        (zone(polygon=[[0, 0], [1, 0, 0], [0.5, 1]]), "[1].polygon[1]", "must be [x, y]"),
        (zone(polygon=[[0, 0]] * (MOST_POINTS + 1)), "[1].polygon", "at most 100 points"),
        # a corner on another edge parts the inside
        (zone(polygon=[[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]), "[1].polygon", "cross or touch"),
    ],
)
def test_what_is_wrong_is_named_where_it_is(wrong: Any, field: str, told: str) -> None:
    found = violations(zone("first"), wrong)
    assert list(found) == [f"zone_config.zones{field}"]
    assert told in found[f"zone_config.zones{field}"]


def test_zones_are_a_bounded_list() -> None:
    with pytest.raises(InvalidArgument, match="must be a list"):
        check_zones({"zones": {"door": SQUARE}})
    many = [zone(str(number)) for number in range(MOST_ZONES + 1)]
    assert "at most 50" in violations(*many)["zone_config.zones"]
    ring = [list(point) for point in circle(MOST_POINTS)]
    much = [zone(str(n), polygon=ring) for n in range(MOST_POINTS_IN_ALL // MOST_POINTS + 1)]
    assert "points in all" in violations(*much)["zone_config.zones"]
    check_zones({"zones": much[:-1]})


def test_not_more_is_told_than_can_be_read() -> None:
    assert len(violations(*[None] * 40)) == 10


def circle(count: int, radius: float = 0.5) -> list[Point]:
    angles = [2 * math.pi * number / count for number in range(count)]
    return [(0.5 + radius * math.cos(a) * 0.99, 0.5 + radius * math.sin(a) * 0.99) for a in angles]


@st.composite
def stars(draw: st.DrawFn) -> list[Point]:
    """Corners around a centre, each at an angle of its own: simple, whatever their distances."""
    count = draw(st.integers(min_value=4, max_value=24))
    distances = draw(
        st.lists(st.floats(min_value=0.05, max_value=0.49), min_size=count, max_size=count)
    )
    angles = [2 * math.pi * number / count for number in range(count)]
    return [
        (0.5 + r * math.cos(a), 0.5 + r * math.sin(a))
        for r, a in zip(distances, angles, strict=True)
    ]


@given(stars(), st.integers(min_value=0, max_value=23), st.booleans())
def test_a_star_is_simple_from_any_corner_in_either_direction(
    points: list[Point], start: int, backwards: bool
) -> None:
    turned = points[start % len(points) :] + points[: start % len(points)]
    assert polygon_problem(turned[::-1] if backwards else turned) == ""


@given(st.integers(min_value=4, max_value=60), st.data())
def test_two_corners_of_a_circle_swapped_make_it_cross_itself(count: int, data: Any) -> None:
    points = circle(count)
    first = data.draw(st.integers(min_value=0, max_value=count - 1))
    second = data.draw(st.integers(min_value=0, max_value=count - 1).filter(lambda n: n != first))
    points[first], points[second] = points[second], points[first]
    # of four corners, opposite ones may be swapped: that is the other direction
    assert (polygon_problem(points) != "") is not (count == 4 and abs(first - second) == 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12))
def test_the_verdict_does_not_depend_on_where_the_ring_starts(points: list[Point]) -> None:
    verdicts = {
        bool(polygon_problem(ring))
        for start in range(len(points))
        for ring in (points[start:] + points[:start],)
    }
    assert len(verdicts) == 1
    assert bool(polygon_problem(points[::-1])) in verdicts


@given(st.floats(0, 0.4), st.floats(1e-13, 1e-3))
def test_points_on_one_line_are_never_an_area(start: float, step: float) -> None:
    line = [(start + step * n, start + step * n) for n in range(5)]
    assert any(a != b for a, b in pairwise(line)) is True
    assert polygon_problem(line) != ""


@given(JSON)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    with suppress(InvalidArgument):
        assert check_zones({"zones": value}) == {"zones": value}
