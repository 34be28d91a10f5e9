"""YuNet is given few shapes, whatever the shape of the picture, and finds what is in it."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from face_engine.detectors.yunet import CANVAS_SIDES, YuNetDetector
from face_engine.engine import FaceEngine
from face_engine.onnx_session import Session
from tests.support.astronaut import astronaut

pytestmark = pytest.mark.media


class WatchedSession:
    """Runs the network, and notes the shape of each input."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.shapes: list[tuple[int, ...]] = []

    def run(self, outputs: Sequence[str], values: NDArray[Any]) -> list[NDArray[np.float32]]:
        self.shapes.append(values.shape)
        return self._session.run(outputs, values)


def test_pictures_of_any_shape_are_searched_in_few(yunet_engine: FaceEngine) -> None:
    watched = WatchedSession(yunet_engine._models.sessions["yunet.onnx"])
    detector = YuNetDetector({"yunet.onnx": watched})  # type: ignore[dict-item]  # stands for it
    photo = astronaut()
    sizes = [(360, 640), (361, 639), (350, 601), (480, 640), (700, 500), (1300, 1290), (97, 512)]
    for height, width in sizes:
        picture = np.zeros((height, width, 3), np.uint8)
        scale = min(height / 512, width / 512)
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture[: small.shape[0], : small.shape[1]] = small
        found = detector.detect(picture, min_face_px=12)
        best = found.select([int(np.argmax(found.scores))])
        middle = best.boxes[0].reshape(2, 2).mean(axis=0) / scale
        np.testing.assert_allclose(middle, (224, 118), atol=10)
    assert {side for shape in watched.shapes for side in shape[2:]} <= set(CANVAS_SIDES)
    assert {shape[:2] for shape in watched.shapes} == {(1, 3)}
    assert len(set(watched.shapes[:3])) == 1


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((360, 640), (384, 640)),
        ((480, 640), (480, 640)),
        ((640, 360), (640, 384)),
        ((180, 320), (192, 320)),
    ],
)
def test_the_usual_shapes_of_cameras_cost_no_more_than_they_must(
    yunet_engine: FaceEngine, size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    watched = WatchedSession(yunet_engine._models.sessions["yunet.onnx"])
    detector = YuNetDetector({"yunet.onnx": watched})  # type: ignore[dict-item]  # stands for it
    detector.detect(np.zeros((*size, 3), np.uint8), min_face_px=40)
    assert watched.shapes == [(1, 3, *canvas)]


def test_every_side_is_one_that_the_network_takes() -> None:
    assert all(side % 32 == 0 for side in CANVAS_SIDES)
    assert list(CANVAS_SIDES) == sorted(set(CANVAS_SIDES))
