"""Finds faces with MTCNN: proposals over a pyramid of the picture, refined twice.

Zhang et al., 2016. The networks come from `converters/mtcnn_onnx.py`; thresholds and overlaps are
the defaults of the package that ships the weights (mtcnn 1.0.0) but for the last. The pyramid
starts where a face of the smallest wanted size fills P's window of 12 pixels, so that the cost
falls with the square of that size.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.detectors.suppression import suppress
from face_engine.onnx_session import Session
from face_engine.values import Detections

_WINDOW, _STRIDE = 12, 2
_PYRAMID_STEP = 0.709
_MAX_LEVEL_PIXELS = 1_500_000
"""Bounds P's memory (about 0.4 GB) on large photographs: there the smallest face grows instead."""

_PROPOSE, _REFINE = 0.6, 0.7
_ACCEPT = 0.95
"""Not the package's 0.8: there flag pins passed for faces; true faces of photographs score 0.97."""
_LEVEL_OVERLAP, _OVERLAP = 0.5, 0.7
_MAX_PROPOSALS, _MAX_REFINED = 512, 128
"""Bounds the work on hostile pictures; the best scores stay."""

_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
_OUTSIDE = (128, 128, 128)  # the networks' zero


class MtcnnDetector:
    """Runs the three networks named mtcnn_pnet, mtcnn_rnet and mtcnn_onet."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._pnet = sessions["mtcnn_pnet.onnx"]
        self._rnet = sessions["mtcnn_rnet.onnx"]
        self._onet = sessions["mtcnn_onet.onnx"]

    def working_side(self, longest_side: int, *, min_face_px: float) -> int:  # noqa: ARG002
        """Return the side unchanged: the last network looks at faces in 48 pixels of their own."""
        return longest_side

    def detect(self, image_rgb: NDArray[np.uint8], *, min_face_px: float) -> Detections:
        """Find the faces of (h, w, 3) uint8 that are at least about `min_face_px` high."""
        boxes = self._propose(image_rgb, min_face_px)
        if not len(boxes):
            return Detections.empty()
        boxes = self._refine(image_rgb, _squared(boxes))
        if not len(boxes):
            return Detections.empty()
        return self._finish(image_rgb, _squared(boxes))

    def _propose(self, image: NDArray[np.uint8], min_face_px: float) -> NDArray[np.float32]:
        found = [self._propose_level(image, scale) for scale in _scales(image, min_face_px)]
        if not found:
            return np.zeros((0, 4), np.float32)
        boxes = np.concatenate([level[0] for level in found])
        scores = np.concatenate([level[1] for level in found])
        return boxes[suppress(boxes, scores, overlap=_OVERLAP)[:_MAX_PROPOSALS]]

    def _propose_level(
        self, image: NDArray[np.uint8], scale: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        size = int(image.shape[1] * scale), int(image.shape[0] * scale)
        level = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        prob, corrections = self._pnet.run(["prob", "box"], level[None])
        rows, columns = np.nonzero(prob[0] > _PROPOSE)
        scores = prob[0, rows, columns]
        if len(scores) > 4 * _MAX_PROPOSALS:
            best = np.argsort(-scores)[: 4 * _MAX_PROPOSALS]
            rows, columns, scores = rows[best], columns[best], scores[best]
        corner = np.stack([columns, rows], axis=1) * float(_STRIDE)
        boxes = np.concatenate([corner, corner + _WINDOW], axis=1)
        boxes += corrections[0, :, rows, columns] * _WINDOW
        back = np.array([image.shape[1] / size[0], image.shape[0] / size[1]])
        boxes = (boxes * np.tile(back, 2)).astype(np.float32)
        kept = suppress(boxes, scores, overlap=_LEVEL_OVERLAP)
        return boxes[kept], scores[kept]

    def _refine(self, image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        prob, corrections = _run_batched(
            self._rnet, ("prob", "box"), _patches(image, boxes, side=24)
        )
        sure = prob > _REFINE
        boxes, scores = _corrected(boxes[sure], corrections[sure]), prob[sure]
        return boxes[suppress(boxes, scores, overlap=_OVERLAP)[:_MAX_REFINED]]

    def _finish(self, image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> Detections:
        prob, corrections, fractions = _run_batched(
            self._onet, ("prob", "box", "points"), _patches(image, boxes, side=48)
        )
        sure = prob > _ACCEPT
        boxes, scores = boxes[sure], prob[sure]
        size = boxes[:, 2:] - boxes[:, :2] + 1
        places = fractions[sure].reshape(-1, 2, 5).transpose(0, 2, 1)  # five x, five y -> x, y
        points = boxes[:, None, :2] + places * size[:, None, :] - 1
        boxes = _corrected(boxes, corrections[sure])
        kept = suppress(boxes, scores, overlap=_OVERLAP, over="smaller")
        return Detections(
            boxes=boxes[kept], points=points[kept].astype(np.float32), scores=scores[kept]
        )


def _scales(image: NDArray[np.uint8], min_face_px: float) -> list[float]:
    """Return the pyramid's scales, largest first; the same for every picture of one size."""
    height, width = image.shape[:2]
    scale = min(_WINDOW / min_face_px, float(np.sqrt(_MAX_LEVEL_PIXELS / (height * width))))
    scales: list[float] = []
    while min(height, width) * scale >= _WINDOW:
        scales.append(scale)
        scale *= _PYRAMID_STEP
    return scales


def _squared(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return boxes of the same centre with both sides as long as the longer one."""
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    corner = (boxes[:, :2] + boxes[:, 2:] - side) / 2
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


def _corrected(boxes: NDArray[np.float32], corrections: NDArray[np.float32]) -> NDArray[np.float32]:
    size = boxes[:, 2:] - boxes[:, :2] + 1
    return (boxes + corrections * np.tile(size, 2)).astype(np.float32)


def _patches(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], *, side: int
) -> NDArray[np.uint8]:
    """Return (n, side, side, 3) uint8: each box with its corners on the patch's corner pixels."""
    steps = np.linspace(0.0, 1.0, side, dtype=np.float32)
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * steps
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps
    shape = (len(boxes), side, side)
    map_x = np.broadcast_to(x[:, None, :], shape).reshape(-1, side)
    map_y = np.broadcast_to(y[:, :, None], shape).reshape(-1, side)
    patches = cv2.remap(
        image,
        np.ascontiguousarray(map_x),
        np.ascontiguousarray(map_y),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_OUTSIDE,
    )
    return np.asarray(patches, np.uint8).reshape(*shape, 3)


def _run_batched(
    session: Session, outputs: tuple[str, ...], patches: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    """Run in batches of a few fixed sizes, so that memory is planned for few shapes."""
    parts: list[list[NDArray[np.float32]]] = []
    for start in range(0, len(patches), _BUCKETS[-1]):
        batch = patches[start : start + _BUCKETS[-1]]
        bucket = next(size for size in _BUCKETS if size >= len(batch))
        padded = np.zeros((bucket, *batch.shape[1:]), np.uint8)
        padded[: len(batch)] = batch
        parts.append([values[: len(batch)] for values in session.run(outputs, padded)])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
