"""MTCNN finds the astronaut where its own package does, and nothing in hostile pictures."""

import cv2
import numpy as np
import pytest

from face_engine.engine import FaceEngine
from tests.support.astronaut import astronaut
from tests.support.face_vectors import reference


def test_the_astronaut_is_where_mtcnn_itself_finds_her(builtin_engine: FaceEngine) -> None:
    recorded = reference("mtcnn_astronaut")
    found = builtin_engine.detect(astronaut(), min_face_px=20)
    assert len(found) == 1
    assert np.abs(found.points[0] - recorded["points"]).max() < 3.5
    assert np.abs(found.boxes[0] - recorded["box"]).max() < 5
    assert found.scores[0] > 0.99


@pytest.mark.parametrize("scale", [0.5, 2.0, 4.0])
def test_points_follow_the_size_of_the_picture(builtin_engine: FaceEngine, scale: float) -> None:
    size = round(512 * scale)
    photo = np.asarray(cv2.resize(astronaut(), (size, size), interpolation=cv2.INTER_AREA))
    found = builtin_engine.detect(photo.astype(np.uint8), min_face_px=20)
    assert len(found) == 1
    expected = reference("mtcnn_astronaut")["points"] * scale
    assert np.abs(found.points[0] - expected).max() < 6 * max(scale, 1)


def test_a_mirrored_face_has_its_points_from_left_to_right(builtin_engine: FaceEngine) -> None:
    mirrored = np.ascontiguousarray(astronaut()[:, ::-1])
    (points,) = builtin_engine.detect(mirrored).points
    assert points[0, 0] < points[1, 0]
    assert points[3, 0] < points[4, 0]


def test_smaller_faces_than_wanted_are_left_out(builtin_engine: FaceEngine) -> None:
    assert len(builtin_engine.detect(astronaut(), min_face_px=60)) == 1
    assert len(builtin_engine.detect(astronaut(), min_face_px=200)) == 0


@pytest.mark.parametrize("size", [(1, 1), (11, 300), (300, 11), (40, 40)])
def test_small_pictures_hold_no_face(builtin_engine: FaceEngine, size: tuple[int, int]) -> None:
    assert len(builtin_engine.detect(np.full((*size, 3), 127, np.uint8))) == 0


def test_noise_and_stripes_hold_no_face(builtin_engine: FaceEngine) -> None:
    noise = np.random.default_rng(11).integers(0, 256, (360, 640, 3)).astype(np.uint8)
    stripes = np.zeros((360, 640, 3), np.uint8)
    stripes[::6] = 255
    for picture in (noise, stripes):
        assert len(builtin_engine.detect(picture, min_face_px=12)) == 0


def test_many_faces_are_all_found(builtin_engine: FaceEngine) -> None:
    face = astronaut()[20:220, 120:320]
    crowd = np.tile(face, (3, 6, 1))
    found = builtin_engine.detect(crowd)
    assert len(found) == 18
    assert len({(round(x / 200), round(y / 200)) for x, y in found.boxes[:, :2]}) == 18
