"""Keeps the best of boxes that overlap (non-maximum suppression), for both detectors."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    overlap: float,
    over: Literal["union", "smaller"] = "union",
) -> NDArray[np.intp]:
    """Return the rows to keep, best score first.

    Args:
        boxes: (n, 4) x1, y1, x2, y2.
        scores: (n,).
        overlap: a box is dropped when it shares more than this with a better one.
        over: the shared area is taken over the union of both or over the smaller of them.
    """
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        size = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(
            boxes[best, :2], boxes[rest, :2]
        )
        shared = np.prod(np.maximum(size, 0.0), axis=1)
        if over == "union":
            whole = areas[best] + areas[rest] - shared
        else:
            whole = np.minimum(areas[best], areas[rest])
        order = rest[shared <= overlap * whole]
    return np.asarray(kept, np.intp)
