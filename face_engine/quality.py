"""Says how well a face can be recognised: large, sharp, frontal, well lit, whole and uncovered.

Each property becomes a factor between 0 and 1 by a linear ramp; the score is their product, so that
the best shot of a track is the one with the fewest faults. A factor below one half is a reason, one
below a tenth makes the face poor. Pure: chips and points in, values out.
"""

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.occlusion import weakest_landmark
from face_engine.packs import Alignment
from face_engine.values import Detections, Quality, QualityReason, Verdict

_REASON_BELOW, _POOR_BELOW = 0.5, 0.1

# Each ramp: 0 at the first value, 1 at the second.
_WIDTH_PX: Final = (16.0, 80.0)
_LOG_SHARPNESS: Final = (-3.8, -2.5)
_TURN_DEGREES: Final = (55.0, 15.0)
_DARK: Final = (0.05, 0.3)
_BRIGHT: Final = (0.98, 0.8)
_OUTSIDE: Final = (0.3, 0.05)
_WEAKEST_LANDMARK: Final = (0.1, 0.3)

_COVERED_AT_LEAST = 0.2
"""What is not covered of a face is recognised (of the faces measured in `occlusion.py`, 68 % match
another photograph of their person, none comes closer than 0.40 to anybody else): it is the last
choice among the shots of a track, and yet not poor."""

_DETAIL, _RIM = 0.0167, 0.15
"""In sides of the chip: what is finer counts as noise; what is so near to the rim is not the face.

With them the rank of the sharpness of 449 blurred and noisy faces of 8 photographs goes with the
rank of their similarity to the sharp one (0.88; without the blur 0.47, because noise counts). Blurs
of 1, 2, 3 and 4.5 % of the face's height give -2.7, -3.1, -3.5 and -3.8 at similarities of 0.93,
0.80, 0.62 and 0.43. So a poor face is one that hardly matches its own person.
"""

_NOSE_DEPTH = 0.48
"""How far the nose stands before the eyes, in distances between the eyes."""
_FACE_REACH = 1.25
"""Half the side of a face, in distances between the eyes."""
_FRONTAL_NOSE_HEIGHT = 0.607
"""Where the nose is between eyes (0) and mouth (1) in a frontal face: the template's proportion."""


def assess_faces(
    detections: Detections,
    chips: NDArray[np.uint8],
    picture_size: tuple[int, int],
    alignment: Alignment,
) -> list[Quality]:
    """Assess each face.

    Args:
        detections: n faces.
        chips: (n, h, w, 3) uint8 RGB, aligned.
        picture_size: height and width of the picture in pixels.
        alignment: what the chips are aligned to.
    """
    return [
        _assess(detections.boxes[at], detections.points[at], chips[at], picture_size, alignment)
        for at in range(len(detections))
    ]


def assess_outlines(
    detections: Detections, picture_size: tuple[int, int]
) -> list[tuple[float, Verdict]]:
    """Return the highest score and the best verdict that each face can get, whatever its chip.

    Needs no chip, so it says cheaply for which faces cutting one is worth it.
    """
    limits: list[tuple[float, Verdict]] = []
    for box, points in zip(detections.boxes, detections.points, strict=True):
        factors = _outline_factors(box, points, picture_size)
        limits.append((float(np.prod(list(factors.values()))), _verdict(factors)))
    return limits


def _assess(
    box: NDArray[np.float32],
    points: NDArray[np.float32],
    chip: NDArray[np.uint8],
    picture_size: tuple[int, int],
    alignment: Alignment,
) -> Quality:
    width = float(box[2] - box[0])
    grey = np.asarray(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), np.uint8)
    rim = chip.shape[0] // 5  # hair and background say nothing about the light on the face
    sharpness, brightness = _sharpness(grey), float(grey[rim:-rim, rim:-rim].mean() / 255.0)
    yaw, pitch = _pose(points)
    sharp = _ramp(float(np.log10(sharpness + 1e-9)), _LOG_SHARPNESS)
    uncovered = _ramp(weakest_landmark(grey, alignment), _WEAKEST_LANDMARK)
    factors: dict[QualityReason, float] = {
        **_outline_factors(box, points, picture_size),
        "blurred": sharp,
        "dark": _ramp(brightness, _DARK),
        "bright": _ramp(brightness, _BRIGHT),
        "covered": _COVERED_AT_LEAST + (1 - _COVERED_AT_LEAST) * uncovered,
    }
    worst_first = sorted(factors, key=lambda reason: factors[reason])
    reasons = tuple(reason for reason in worst_first if factors[reason] < _REASON_BELOW)
    return Quality(
        score=float(np.prod(list(factors.values()))),
        width_px=width,
        blur=sharp,
        yaw=yaw,
        pitch=pitch,
        brightness=brightness,
        occlusion=1.0 - uncovered,
        verdict=_verdict(factors),
        reasons=reasons,
    )


def _outline_factors(
    box: NDArray[np.float32], points: NDArray[np.float32], picture_size: tuple[int, int]
) -> dict[QualityReason, float]:
    """Return the factors that box and points alone decide."""
    yaw, pitch = _pose(points)
    return {
        "small": _ramp(float(box[2] - box[0]), _WIDTH_PX),
        "turned": _ramp(abs(yaw), _TURN_DEGREES) * _ramp(abs(pitch), _TURN_DEGREES),
        "cut_off": _ramp(_outside(points, picture_size), _OUTSIDE),
    }


def _verdict(factors: Mapping[QualityReason, float]) -> Verdict:
    worst = min(factors.values())
    if worst < _POOR_BELOW:
        return "poor"
    return "fair" if worst < _REASON_BELOW else "good"


def _ramp(value: float, ends: tuple[float, float]) -> float:
    zero, one = ends
    return float(np.clip((value - zero) / (one - zero), 0.0, 1.0))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Return the energy of detail over that of all there is to see, in the middle of the chip.

    Variance of the Laplacian (Pech-Pacheco et al., 2000), divided by the variance of brightness so
    that it does not measure contrast, and of what is left after a blur: the finest detail of a chip
    is the camera's noise, which a smeared face has as much of as a sharp one.
    """
    side = grey.shape[0]
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _DETAIL * side)
    detail = cv2.Laplacian(smooth, cv2.CV_32F)
    rim = round(_RIM * side)
    inner = slice(rim, side - rim)
    return float(np.var(detail[inner, inner]) / (np.var(smooth[inner, inner]) + 25.0))


def _pose(points: NDArray[np.float32]) -> tuple[float, float]:
    """Return yaw and pitch in degrees from where the nose stands between eyes and mouth."""
    eyes, nose, mouth = points[:2].mean(axis=0), points[2], points[3:].mean(axis=0)
    across = points[1] - points[0]
    between_eyes = max(float(np.hypot(*across)), 1e-3)
    across = across / between_eyes
    down = np.array([-across[1], across[0]])
    height = float((mouth - eyes) @ down)
    height = height if abs(height) > 1e-3 else 1e-3
    part = float((nose - eyes) @ down) / height
    middle = eyes + part * (mouth - eyes)
    aside = float((nose - middle) @ across) / between_eyes
    yaw = np.degrees(np.arctan(aside / _NOSE_DEPTH))
    pitch = np.degrees(np.arctan((part - _FRONTAL_NOSE_HEIGHT) / _NOSE_DEPTH))
    return float(yaw), float(pitch)


def _outside(points: NDArray[np.float32], picture_size: tuple[int, int]) -> float:
    """Return the fraction of the face that lies outside the picture.

    The face is a square around its points, because some detectors end a box at the picture's rim.
    """
    height, width = picture_size
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    between_eyes = np.hypot(*(points[1] - points[0]))
    reach = _FACE_REACH * max(float(between_eyes), float(np.hypot(*(mouth - eyes))), 1e-3)
    middle = (eyes + mouth) / 2
    seen = np.minimum(middle + reach, [width, height]) - np.maximum(middle - reach, 0)
    return float(1.0 - np.prod(np.maximum(seen, 0) / (2 * reach)))
