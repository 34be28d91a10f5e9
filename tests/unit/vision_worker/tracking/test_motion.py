"""The filters: they follow, they do not run away, and their covariances stay sound."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vision_worker.tracking.motion import Motion


def test_it_learns_a_velocity_and_predicts_with_it() -> None:
    motion = Motion.begin(np.array([[100.0, 100, 160, 180]]))
    for step in range(1, 10):
        shifted = np.array([[100.0 + 12 * step, 100, 160 + 12 * step, 180]])
        motion = motion.predicted(0.2).corrected(shifted)
    ahead = motion.predicted(0.2).boxes[0, 0] - motion.boxes[0, 0]
    assert 7 < ahead < 13


def test_a_lost_face_is_not_extrapolated_for_ever() -> None:
    motion = Motion.begin(np.array([[100.0, 100, 160, 180]]))
    for step in range(1, 10):
        shifted = np.array([[100.0 + 12 * step, 100, 160 + 12 * step, 180]])
        motion = motion.predicted(0.2).corrected(shifted)
    assert motion.predicted(60.0).boxes[0, 0] - motion.boxes[0, 0] < 45


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(-300, 300), st.booleans()), max_size=30))
def test_covariances_stay_positive(steps: list[tuple[float, float, bool]]) -> None:
    motion = Motion.begin(np.array([[100.0, 100, 160, 180]]))
    for seconds, shift, seen in steps:
        motion = motion.predicted(seconds)
        if seen:
            motion = motion.corrected(np.array([[shift, 100.0, shift + 60, 180]]))
        assert np.isfinite(motion.mean).all()
        assert (np.linalg.eigvalsh(motion.covariance) >= -1e-6).all()
