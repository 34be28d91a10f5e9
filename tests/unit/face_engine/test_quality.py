"""Each fault lowers the score and is named; none of them hides another."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.packs import resolve_pack
from face_engine.quality import assess_faces, assess_outlines
from face_engine.values import Detections, Quality, QualityReason
from tests.support.astronaut import astronaut

ALIGNMENT = resolve_pack("builtin").alignment


@pytest.fixture(scope="module")
def face(builtin_engine: FaceEngine) -> tuple[Detections, NDArray[np.uint8]]:
    found = builtin_engine.detect(astronaut())
    return found, builtin_engine.align(astronaut(), found.points)


def assess(
    face: tuple[Detections, NDArray[np.uint8]],
    *,
    change: Callable[[NDArray[np.uint8]], object] = lambda chip: chip,
    points: NDArray[np.float32] | None = None,
    box: tuple[float, float, float, float] | None = None,
    size: tuple[int, int] = (512, 512),
) -> Quality:
    found, chips = face
    changed = Detections(
        boxes=found.boxes if box is None else np.array([box], np.float32),
        points=found.points if points is None else points[None],
        scores=found.scores,
    )
    chip = np.asarray(change(chips[0])).clip(0, 255).astype(np.uint8)
    return assess_faces(changed, chip[None], size, ALIGNMENT)[0]


def blurred(sigma: float) -> Callable[[NDArray[np.uint8]], object]:
    return lambda chip: cv2.GaussianBlur(chip, (0, 0), sigma)


def test_a_good_face_has_no_reasons(face: tuple[Detections, NDArray[np.uint8]]) -> None:
    quality = assess(face)
    assert (quality.verdict, quality.reasons) == ("good", ())
    assert quality.score > 0.7
    assert 70 < quality.width_px < 110


def test_the_more_blur_the_lower_the_score(face: tuple[Detections, NDArray[np.uint8]]) -> None:
    steps = [assess(face, change=blurred(sigma)) for sigma in (1.5, 2.5, 4.0, 7.0)]
    sharpness = [assess(face).blur, *(step.blur for step in steps)]
    scores = [assess(face).score, *(step.score for step in steps)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1] > scores[2]
    assert steps[-1].verdict == "poor"
    assert steps[-1].reasons == ("blurred",)


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
def test_noise_does_not_pass_for_sharpness(
    face: tuple[Detections, NDArray[np.uint8]], noise: float
) -> None:
    rng = np.random.default_rng(0)

    def smeared(chip: NDArray[np.uint8]) -> object:
        return cv2.GaussianBlur(chip, (0, 0), 8.0) + rng.normal(0.0, noise, (*chip.shape[:2], 1))

    assert assess(face, change=smeared).verdict == "poor"
    assert assess(face, change=lambda chip: chip + rng.normal(0.0, noise, chip.shape)).blur > 0.8


def test_the_smaller_the_lower_the_score(face: tuple[Detections, NDArray[np.uint8]]) -> None:
    qualities = [assess(face, box=(100, 100, 100 + side, 100 + side)) for side in (80, 50, 30, 16)]
    scores = [quality.score for quality in qualities]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4
    assert qualities[-1].reasons == ("small",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda chip: chip * 0.15, "dark"),
        (lambda chip: 255 - (255 - chip) * 0.1, "bright"),
    ],
)
def test_light_is_judged(
    face: tuple[Detections, NDArray[np.uint8]],
    change: Callable[[NDArray[np.uint8]], object],
    reason: QualityReason,
) -> None:
    quality = assess(face, change=change)
    assert reason in quality.reasons
    assert quality.score < assess(face).score


@pytest.mark.parametrize("colour", [20, 120, 220])
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(75, 150), slice(0, 150)),
        (slice(85, 125), slice(30, 120)),
        (slice(0, 150), slice(0, 70)),
        (slice(30, 65), slice(80, 130)),
    ],
    ids=["mask", "mouth", "half", "eye"],
)
def test_what_stands_before_eye_or_mouth_is_told_and_leaves_a_fair_face(
    face: tuple[Detections, NDArray[np.uint8]], rows: slice, columns: slice, colour: int
) -> None:
    def covered(chip: NDArray[np.uint8]) -> NDArray[np.uint8]:
        changed = chip.copy()
        changed[rows, columns] = colour
        return changed

    quality = assess(face, change=covered)
    assert quality.occlusion > 0.6
    assert "covered" in quality.reasons
    assert quality.verdict == "fair"
    assert quality.score < 0.5 * assess(face).score


@pytest.mark.parametrize(
    "change",
    [
        lambda chip: chip,
        lambda chip: chip[:, ::-1],
        lambda chip: chip * 0.4,
        lambda chip: cv2.GaussianBlur(chip, (0, 0), 3.5),
        lambda chip: chip * np.linspace(0.4, 1.2, 150)[None, :, None],
        lambda chip: np.concatenate([np.full_like(chip[:25], 90), chip[25:]]),
    ],
    ids=["as it is", "mirrored", "dark", "blurred", "lit from the side", "forehead"],
)
def test_an_uncovered_face_is_not_called_covered(
    face: tuple[Detections, NDArray[np.uint8]], change: Callable[[NDArray[np.uint8]], object]
) -> None:
    quality = assess(face, change=change)
    assert quality.occlusion < 0.3
    assert "covered" not in quality.reasons


def test_a_turned_head_is_named_with_its_side(
    face: tuple[Detections, NDArray[np.uint8]],
) -> None:
    points = face[0].points[0].copy()
    between_eyes = points[1, 0] - points[0, 0]
    for side in (-1, 1):
        turned = points.copy()
        turned[2, 0] += side * 0.6 * between_eyes
        quality = assess(face, points=turned)
        assert np.sign(quality.yaw) == side
        assert abs(quality.yaw) > 40
        assert quality.reasons == ("turned",)


def test_a_lowered_head_has_positive_pitch(face: tuple[Detections, NDArray[np.uint8]]) -> None:
    points = face[0].points[0].copy()
    points[2, 1] += 8
    assert assess(face, points=points).pitch > assess(face).pitch


def test_rolling_the_head_is_no_turn(face: tuple[Detections, NDArray[np.uint8]]) -> None:
    points = face[0].points[0]
    middle = points.mean(axis=0)
    rolled = ((points - middle) @ np.array([[0, 1], [-1, 0]]) + middle).astype(np.float32)
    upright, lying = assess(face), assess(face, points=rolled)
    assert lying.yaw == pytest.approx(upright.yaw, abs=1e-3)
    assert lying.pitch == pytest.approx(upright.pitch, abs=1e-3)


def test_a_face_at_the_rim_is_cut_off(face: tuple[Detections, NDArray[np.uint8]]) -> None:
    middle = float(face[0].points[0, :, 0].mean())
    assert assess(face, size=(512, round(middle))).reasons == ("cut_off",)


def test_points_in_one_place_stay_finite(face: tuple[Detections, NDArray[np.uint8]]) -> None:
    quality = assess(face, points=np.full((5, 2), 7, np.float32))
    assert np.isfinite([quality.score, quality.yaw, quality.pitch]).all()


def test_no_face_gives_no_quality() -> None:
    none = np.zeros((0, 150, 150, 3), np.uint8)
    assert assess_faces(Detections.empty(), none, (10, 10), ALIGNMENT) == []


@pytest.mark.parametrize("side", [90, 40, 16])
@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_no_face_gets_more_than_its_outline_allows(
    face: tuple[Detections, NDArray[np.uint8]], side: int, sigma: float
) -> None:
    box = (100, 100, 100 + side, 100 + side)
    found = Detections(
        boxes=np.array([box], np.float32), points=face[0].points, scores=face[0].scores
    )
    ((limit, best),) = assess_outlines(found, (512, 512))
    quality = assess(face, box=box, change=blurred(sigma))
    assert quality.score <= limit
    order = ("poor", "fair", "good")
    assert order.index(quality.verdict) <= order.index(best)
    if side == 16:
        assert best == "poor"
