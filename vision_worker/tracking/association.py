"""Which track gets which detection: one assignment of least cost under a gate.

Pure arrays. At 5 frames a second a walking face can leave its own box between two frames, so that
overlap alone (as in ByteTrack, Zhang et al. 2022, at 25 frames a second) would cut tracks. The cost
therefore mixes overlap with the distance of the centres in units of the face's size, and the gate
refuses pairs that are far apart or of very different size.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from vision_worker.tracking.motion import to_centres

_FAR = 1e6  # cost of a forbidden pair


def associate(
    expected: NDArray[np.float64],
    found: NDArray[np.float64],
    *,
    reach: float,
    size_ratio: float = 2.0,
) -> list[tuple[int, int]]:
    """Return pairs (row of expected, row of found) of least total cost.

    Args:
        expected: (n, 4) xyxy; where the tracks should be.
        found: (m, 4) xyxy; the detections.
        reach: a pair's centres are at most this many face sizes apart.
        size_ratio: the larger is at most this many times the smaller.
    """
    if not len(expected) or not len(found):
        return []
    cost = _cost(expected, found, reach=reach, size_ratio=size_ratio)
    rows, columns = linear_sum_assignment(cost)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < _FAR
    ]


def overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of every pair, (n, m), 0 to 1."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(np.maximum(b[:, 2:] - b[:, :2], 1e-6), axis=1) for b in (first, second)]
    return np.asarray(shared / (areas[0][:, None] + areas[1][None, :] - shared))


def _cost(
    expected: NDArray[np.float64], found: NDArray[np.float64], *, reach: float, size_ratio: float
) -> NDArray[np.float64]:
    first, second = to_centres(expected), to_centres(found)
    size = np.sqrt(first[:, 2] * first[:, 3])[:, None], np.sqrt(second[:, 2] * second[:, 3])[None]
    gap = np.linalg.norm(first[:, None, :2] - second[None, :, :2], axis=2)
    distance = gap / np.maximum((size[0] + size[1]) / 2, 1.0)
    ratio = np.maximum(size[0] / size[1], size[1] / size[0])
    cost = distance / reach + (1.0 - overlap(expected, found)) + 0.5 * np.log(ratio)
    cost[(distance > reach) | (ratio > size_ratio)] = _FAR
    return np.asarray(cost)
