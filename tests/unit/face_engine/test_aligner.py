"""A face lands on the template, whatever similarity it was seen through."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from face_engine.aligner import align_faces, footprint, similarity
from face_engine.packs import resolve_pack
from tests.support.astronaut import astronaut

ALIGNMENT = resolve_pack("builtin").alignment
TEMPLATE = np.asarray(ALIGNMENT.template, np.float64)


def moved(
    points: NDArray[np.float64], scale: float, degrees: float, shift: tuple[float, float]
) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    seen: NDArray[np.float64] = scale * points @ turn.T + np.asarray(shift)
    return seen


@given(
    scale=st.floats(0.05, 20),
    degrees=st.floats(-180, 180),
    x=st.floats(-2000, 2000),
    y=st.floats(-2000, 2000),
)
def test_a_known_similarity_is_undone(scale: float, degrees: float, x: float, y: float) -> None:
    seen = moved(TEMPLATE, scale, degrees, (x, y))
    matrix = similarity(seen, TEMPLATE)
    back = seen @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, TEMPLATE, atol=1e-6)
    np.testing.assert_allclose(np.hypot(matrix[0, 0], matrix[1, 0]), 1 / scale, rtol=1e-6)


def test_the_error_is_the_least_squared_one() -> None:
    random = np.random.default_rng(3)
    seen = moved(TEMPLATE, 2, 20, (30, 40)) + random.normal(0, 3, (5, 2))
    matrix = similarity(seen, TEMPLATE)

    def error(candidate: NDArray[np.float64]) -> float:
        difference = seen @ candidate[:, :2].T + candidate[:, 2] - TEMPLATE
        return float((difference**2).sum())

    best = error(matrix)
    for _ in range(50):
        a, b, x, y = random.normal(0, 0.01, 4)
        assert error(matrix + np.array([[a, -b, x], [b, a, y]])) >= best


def test_points_in_one_place_do_not_break_it() -> None:
    chips = align_faces(astronaut(), np.full((1, 5, 2), 100.0, np.float32), ALIGNMENT)
    assert chips.shape == (1, 150, 150, 3)


def test_a_picture_that_is_the_chip_stays_as_it_is() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (150, 150, 3)).astype(np.uint8)
    chips = align_faces(picture, TEMPLATE[None].astype(np.float32), ALIGNMENT)
    np.testing.assert_allclose(chips[0].astype(int), picture, atol=1)


def test_no_face_gives_no_chip() -> None:
    assert align_faces(astronaut(), np.zeros((0, 5, 2), np.float32), ALIGNMENT).shape[0] == 0


def test_what_lies_outside_is_black() -> None:
    points = (TEMPLATE - 500).astype(np.float32)
    assert align_faces(astronaut(), points[None], ALIGNMENT).max() == 0


def test_a_large_face_gives_the_same_chip_as_a_small_one() -> None:
    """Large faces are halved before they are warped; that must not shift them."""
    photo = cv2.GaussianBlur(astronaut(), (0, 0), 2)
    points = moved(TEMPLATE, 0.9, 10, (150, 40)).astype(np.float32)
    large = cv2.resize(photo, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    # Pixel centres: u in the photograph is 4 u + 1.5 in the large one.
    plain = align_faces(np.asarray(photo, np.uint8), points[None], ALIGNMENT)
    halved = align_faces(np.asarray(large, np.uint8), points[None] * 4 + 1.5, ALIGNMENT)
    assert np.abs(plain.astype(int) - halved).mean() < 0.7


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.2, 4.5])
def test_the_footprint_is_all_that_a_chip_is_cut_from(scale: float) -> None:
    photo = np.asarray(cv2.resize(astronaut(), None, fx=4, fy=4), np.uint8)
    points = moved(TEMPLATE, scale, 20.0, (700.0, 300.0)).astype(np.float32)
    x1, y1, x2, y2 = footprint(points, ALIGNMENT)
    x1, y1 = max(x1, 0), max(y1, 0)
    part = np.ascontiguousarray(photo[y1:y2, x1:x2])
    offset = np.array([x1, y1], np.float32)
    whole = align_faces(photo, points[None], ALIGNMENT)
    cut = align_faces(part, points[None] - offset, ALIGNMENT)
    assert np.abs(whole.astype(int) - cut).max() <= 1
