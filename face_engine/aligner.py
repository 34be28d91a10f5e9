"""Moves a face to where its network expects it: five points to a template, by similarity.

A similarity (turn, one scale, shift) keeps the proportions of the face, which are what the network
compares. `engine.py` aligns what the detectors found; `quality.py` and `embedder.py` use the chips.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.packs import Alignment


def similarity(points: NDArray[np.floating], template: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (2, 3) matrix that maps `points` to `template` with the least squared error.

    With points as complex numbers a similarity is z -> a z + b, so that a is one least-squares
    quotient (Umeyama, 1991, for two dimensions and without reflection).

    Args:
        points: (k, 2) x, y.
        template: (k, 2) x, y.
    """
    source = points[:, 0].astype(np.float64) + 1j * points[:, 1]
    target = template[:, 0].astype(np.float64) + 1j * template[:, 1]
    centred = source - source.mean()
    spread = max(float(np.vdot(centred, centred).real), 1e-9)
    turn = np.vdot(centred, target - target.mean()) / spread
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def footprint(points: NDArray[np.float32], alignment: Alignment) -> tuple[int, int, int, int]:
    """Return the part of a picture that `align_faces` reads for one face, x1, y1, x2, y2.

    It may reach beyond the picture. The chip cut from this part alone is the same.
    """
    side = alignment.chip_px
    matrix = similarity(points, np.asarray(alignment.template, np.float64))
    corners = _corners(matrix, side)
    margin = 2 + _halvings(matrix)
    low = np.floor(corners.min(axis=0)).astype(int) - margin
    high = np.ceil(corners.max(axis=0)).astype(int) + margin
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def align_faces(
    image_rgb: NDArray[np.uint8], points: NDArray[np.float32], alignment: Alignment
) -> NDArray[np.uint8]:
    """Cut the aligned chip of each face.

    Args:
        image_rgb: (h, w, 3) uint8.
        points: (n, 5, 2) float32, in pixels of the picture.
        alignment: the pack's template.

    Returns:
        (n, chip, chip, 3) uint8; what lies outside the picture is black.
    """
    side = alignment.chip_px
    template = np.asarray(alignment.template, np.float64)
    chips = np.empty((len(points), side, side, 3), np.uint8)
    for at, face in enumerate(points):
        chips[at] = _cut(image_rgb, similarity(face, template), side)
    return chips


def _cut(image: NDArray[np.uint8], matrix: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    factor = _halvings(matrix)
    if factor > 1:
        image, matrix = _reduced(image, matrix, side, factor)
    chip = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(chip, np.uint8)


def _halvings(matrix: NDArray[np.float64]) -> int:
    """Return by which power of two the surroundings of a face are reduced before they are warped.

    Sampling single pixels of a large face would alias.
    """
    shrink = 1.0 / max(float(np.hypot(matrix[0, 0], matrix[1, 0])), 1e-9)
    return 1 << int(np.log2(min(max(shrink, 1.0), 64.0)))


def _corners(matrix: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return where the (4, 2) corners of the chip lie in the picture."""
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    return np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]]) @ inverse.T


def _reduced(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], side: int, factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the picture below the chip at 1/factor, and the matrix for it."""
    corners = _corners(matrix, side)
    limit = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(corners.min(axis=0)) - factor, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + factor, low + 1, limit).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    width, height = (max(1, round(size / factor)) for size in (high - low))
    smaller = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    # Pixel centres: x = low + (u + 0.5) * step - 0.5 takes the small picture's u to the large x.
    step = (high - low) / np.array([width, height])
    offset = low + 0.5 * step - 0.5
    scaled = np.array([[step[0], 0.0, offset[0]], [0.0, step[1], offset[1]], [0.0, 0.0, 1.0]])
    return np.asarray(smaller, np.uint8), matrix @ scaled
