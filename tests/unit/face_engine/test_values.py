"""Columns that do not fit together are refused with what was expected."""

import numpy as np
import pytest

from face_engine.values import AnalyzedFace, Detections, Quality


def detections(count: int) -> Detections:
    return Detections(
        boxes=np.arange(4 * count, dtype=np.float32).reshape(count, 4),
        points=np.zeros((count, 5, 2), np.float32),
        scores=np.linspace(0, 1, count, dtype=np.float32),
    )


def test_selecting_rows_keeps_their_order() -> None:
    chosen = detections(4).select([2, 0])
    assert chosen.boxes[:, 0].tolist() == [8, 0]
    assert len(chosen) == 2


def test_selecting_by_mask_and_by_nothing() -> None:
    assert len(detections(3).select(np.array([True, False, True]))) == 2
    assert len(detections(3).select([])) == 0
    assert len(Detections.empty().select(np.array([], np.bool_))) == 0


def test_a_wrong_shape_names_expected_and_actual() -> None:
    with pytest.raises(ValueError, match=r"boxes: expected shape \(2, 4\), got \(2, 5\)"):
        Detections(
            boxes=np.zeros((2, 5), np.float32),
            points=np.zeros((2, 5, 2), np.float32),
            scores=np.zeros(2, np.float32),
        )


def test_an_analysed_face_has_one_box() -> None:
    quality = Quality(
        score=1,
        width_px=90,
        blur=0.1,
        yaw=0,
        pitch=0,
        brightness=0.5,
        occlusion=0,
        verdict="good",
        reasons=(),
    )
    with pytest.raises(ValueError, match="box: expected shape"):
        AnalyzedFace(
            box=np.zeros((1, 4), np.float32),
            points=np.zeros((5, 2), np.float32),
            score=1.0,
            quality=quality,
            embedding=np.zeros(128, np.float32),
            chip=np.zeros((150, 150, 3), np.uint8),
        )
