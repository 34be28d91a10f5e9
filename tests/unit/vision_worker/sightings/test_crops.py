"""Crops: the face with some surroundings, never larger than agreed."""

import numpy as np
import pytest

from face_engine.pictures import decode_picture
from tests.support.pictures import decoded_picture
from vision_worker.sightings.crops import MAX_BYTES, as_fractions, crop_face


def test_the_face_is_in_the_middle_with_surroundings() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[80:120, 100:140] = (250, 10, 10)
    crop = decode_picture(
        crop_face(decoded_picture(image), np.array([100, 80, 140, 120], np.float32))
    )
    assert crop.shape == (76, 76, 3)
    assert crop[38, 38, 0] > 200
    assert crop[3, 3].max() < 40


@pytest.mark.parametrize(
    "box",
    [(-20, -10, 30, 40), (280, 180, 330, 240), (290, 190, 290, 190), (-90, -90, -50, -50)],
)
def test_a_face_at_the_rim_or_beyond(box: tuple[float, ...]) -> None:
    image = np.full((200, 300, 3), 90, np.uint8)
    crop = decode_picture(crop_face(decoded_picture(image), np.array(box, np.float32)))
    assert min(crop.shape[:2]) >= 1


def test_noise_of_any_size_stays_small() -> None:
    image = np.random.default_rng(1).integers(0, 255, (1000, 1200, 3), np.uint8)
    jpeg = crop_face(decoded_picture(image), np.array([10, 10, 1100, 990], np.float32))
    assert len(jpeg) <= MAX_BYTES
    assert max(decode_picture(jpeg).shape) == 320


def test_fractions_are_cut_at_the_rim() -> None:
    box = as_fractions(np.array([-30, 50, 150, 250], np.float32), (300, 200))
    assert box == pytest.approx((0.0, 0.25, 0.5, 0.75))
