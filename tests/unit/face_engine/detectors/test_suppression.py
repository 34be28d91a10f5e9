"""Of boxes that overlap the best one stays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from face_engine.detectors.suppression import suppress

BOXES = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [2, 2, 6, 6]], np.float32)
SCORES = np.array([0.7, 0.9, 0.8, 0.95], np.float32)


def test_the_best_of_two_stays() -> None:
    assert suppress(BOXES, SCORES, overlap=0.5).tolist() == [3, 1, 2]


def test_over_the_smaller_a_box_within_another_goes() -> None:
    assert suppress(BOXES, SCORES, overlap=0.5, over="smaller").tolist() == [3, 2]


def test_nothing_stays_nothing() -> None:
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), overlap=0.5).size == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_those_that_stay_do_not_overlap_and_the_best_is_first(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 50, (count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(1, 30, (count, 2))], axis=1)
    boxes, scores = boxes.astype(np.float32), random.uniform(0, 1, count).astype(np.float32)
    kept = suppress(boxes, scores, overlap=0.4)
    assert scores[kept[0]] == scores.max()
    assert suppress(boxes[kept], scores[kept], overlap=0.4).size == kept.size
