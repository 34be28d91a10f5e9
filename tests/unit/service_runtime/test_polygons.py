"""Points in polygons."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_runtime.polygons import Point, is_inside, named_polygons

SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]
# an L: the upper right quarter is missing
L_SHAPE = [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)]


@pytest.mark.parametrize(
    ("polygon", "point", "inside"),
    [
        (SQUARE, (0.5, 0.5), True),
        (SQUARE, (0.1, 0.5), False),
        (SQUARE, (0.9, 0.5), False),
        (SQUARE, (0.5, 0.1), False),
        (SQUARE, (0.2, 0.2), True),
        (SQUARE, (0.8, 0.5), True),
        (SQUARE, (0.5, 0.8), True),
        (SQUARE, (0.1, 0.2), False),
        (SQUARE, (0.9, 0.8), False),
        (L_SHAPE, (0.25, 0.25), True),
        (L_SHAPE, (0.75, 0.25), False),
        (L_SHAPE, (0.75, 0.75), True),
        (L_SHAPE, (0.75, 0.5), True),
        (L_SHAPE, (0.5, 0.25), True),
    ],
)
def test_a_point_and_a_polygon(polygon: list[Point], point: Point, inside: bool) -> None:
    assert is_inside(point, polygon) is inside


FRACTIONS = st.floats(0, 1, allow_subnormal=False)
POINTS = st.tuples(FRACTIONS, FRACTIONS)
POLYGONS = st.lists(POINTS, min_size=3, max_size=8)


@given(
    point=POINTS,
    angles=st.lists(st.integers(0, 359), min_size=3, max_size=12, unique=True),
    radius=st.floats(0.1, 0.5),
)
def test_a_convex_polygon_is_where_its_half_planes_meet(
    point: Point, angles: list[int], radius: float
) -> None:
    corners = [
        (0.5 + radius * math.cos(math.radians(a)), 0.5 + radius * math.sin(math.radians(a)))
        for a in sorted(angles)
    ]
    sides = [
        (x2 - x1) * (point[1] - y1) - (y2 - y1) * (point[0] - x1)
        for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    if min(sides) > 1e-6:
        assert is_inside(point, corners)
    elif min(sides) < -1e-6:
        assert not is_inside(point, corners)


@given(point=POINTS, polygon=POLYGONS, first=st.integers(0, 7))
def test_it_does_not_matter_which_corner_comes_first_or_which_way_round(
    point: Point, polygon: list[Point], first: int
) -> None:
    turned = polygon[first % len(polygon) :] + polygon[: first % len(polygon)]
    assert is_inside(point, turned) is is_inside(point, polygon)
    assert is_inside(point, polygon[::-1]) is is_inside(point, polygon)


@given(polygon=POLYGONS, corner=st.integers(0, 7))
def test_a_corner_is_inside(polygon: list[Point], corner: int) -> None:
    assert is_inside(polygon[corner % len(polygon)], polygon)


@given(point=POINTS, polygon=POLYGONS)
def test_outside_the_box_around_a_polygon_is_outside(point: Point, polygon: list[Point]) -> None:
    beyond = max(x for x, _ in polygon) + 0.01 + point[0]
    assert not is_inside((beyond, point[1]), polygon)
    assert not is_inside((point[0], min(y for _, y in polygon) - 0.01 - point[1]), polygon)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["zones", "name", "polygon", "kind", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(value=JSON)
def test_what_is_no_polygon_is_passed_over(value: Any) -> None:
    for name, polygon in named_polygons(value):
        assert name
        assert len(polygon) >= 3
