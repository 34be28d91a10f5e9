"""The whole picture of a shot: small, and with one face that can be recognised."""

import numpy as np
import pytest
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.pictures import decode_picture
from tests.support.astronaut import astronaut
from tests.support.pictures import decoded_frame
from vision_worker.sightings.context_picture import MAX_BYTES, context_pictures


def two_of_her() -> NDArray[np.uint8]:
    """Return her photograph twice, side by side."""
    return np.concatenate([astronaut(), astronaut()], axis=1)


def test_each_face_has_a_picture_in_which_the_other_is_nobody(builtin_engine: FaceEngine) -> None:
    image = two_of_her()
    found = builtin_engine.detect(image)
    assert len(found) == 2
    contexts = context_pictures(decoded_frame(image), found.boxes, found.boxes)
    for box, context in zip(found.boxes, contexts, strict=True):
        shown = decode_picture(context)
        assert shown.shape == (320, 640, 3)
        (left,) = builtin_engine.analyze(shown)
        expected = box * (shown.shape[1] / image.shape[1])
        np.testing.assert_allclose(left.box, expected, atol=6)


def test_a_face_that_overlaps_another_is_not_covered_itself() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[:, ::2] = 250  # stripes that would be gone under a cover
    boxes = np.array([[50, 50, 110, 130], [90, 40, 160, 140]], np.float32)
    left, right = (
        decode_picture(context) for context in context_pictures(decoded_frame(image), boxes, boxes)
    )
    assert left[60:120, 60:100].std() > 60
    assert left[60:120, 125:150].std() < 30
    assert right[60:120, 100:150].std() > 60
    assert right[60:120, 60:80].std() < 30


@pytest.mark.parametrize("box", [(-20, -10, 30, 40), (280, 180, 330, 240), (-90, -90, -50, -50)])
def test_faces_at_the_rim_or_beyond(box: tuple[float, ...]) -> None:
    image = np.full((200, 300, 3), 90, np.uint8)
    seen = np.array([box, (100, 100, 150, 150)], np.float32)
    for context in context_pictures(decoded_frame(image), seen, seen):
        assert decode_picture(context).shape == (200, 300, 3)


def test_noise_of_any_size_stays_small() -> None:
    image = np.random.default_rng(1).integers(0, 255, (1000, 1200, 3), np.uint8)
    boxes = np.array([[10, 10, 300, 400]], np.float32)
    (jpeg,) = context_pictures(decoded_frame(image), boxes, boxes)
    assert len(jpeg) <= MAX_BYTES
    assert max(decode_picture(jpeg).shape) == 640
