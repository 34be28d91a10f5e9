"""A cut is told from a pan."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vision_worker.tracking.shot_cut import is_cut, thumbnail


def scene(seed: int, level: int) -> NDArray[np.uint8]:
    """Return a smooth random picture, (360, 900, 3)."""
    coarse = np.random.default_rng(seed).normal(level, 45, (9, 23, 3))
    smooth = cv2.resize(coarse, (900, 360), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shift", [0, 10, 60, 110])
def test_a_pan_is_no_cut(shift: int) -> None:
    wide = scene(1, 110)
    before, after = wide[:, :640], wide[:, shift : shift + 640]
    assert not is_cut(thumbnail(before), thumbnail(after))


def test_another_scene_is_a_cut() -> None:
    assert is_cut(thumbnail(scene(1, 90)[:, :640]), thumbnail(scene(2, 150)[:, :640]))


def test_two_even_pictures_are_compared_without_a_division_by_zero() -> None:
    dark, light = (np.full((90, 160, 3), level, np.uint8) for level in (0, 255))
    assert not is_cut(thumbnail(dark), thumbnail(dark))
    is_cut(thumbnail(dark), thumbnail(light))
