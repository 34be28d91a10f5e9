"""Finds faces with YuNet: one small network that scores places at strides 8, 16 and 32.

OpenCV Zoo's face_detection_yunet_2023mar. Each place of a grid gives a class and an object score
(their geometric mean is the confidence), a box and five points relative to the place. The network
was trained on faces of about 10 to 300 pixels, so large pictures are searched at two sizes.
"""

import threading
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.detectors.prepared import InputSize, PreparedInput, fitted
from face_engine.detectors.suppression import suppress
from face_engine.fixed_shapes import same_in_batches
from face_engine.onnx_session import Session
from face_engine.values import Detections

_STRIDES = (8, 16, 32)
_HEADS = ("cls", "obj", "bbox", "kps")
_OUTPUTS = tuple(f"{head}_{stride}" for head in _HEADS for stride in _STRIDES)
_GRID = 32

CANVAS_SIDES = (
    *(96, 128, 160, 192, 224, 256, 320, 384, 480, 544),
    *(640, 736, 800, 864, 960, 1120, 1280, 1600),
)
"""Sides of what the network is given, multiples of the grid: pictures of any shape become few.

The usual shapes of cameras need no more pixels than the next multiple has, or a little.
"""

_ACCEPT = 0.8
"""True faces of the photographs and the clip that both detectors see score 0.85 to 0.96."""
_CHANCE = _ACCEPT**2 - 1e-4  # whatever passes has more, before rounding
_OVERLAP = 0.3
_MAX_CANDIDATES = 2000
_ROUNDING = 0.05  # a GPU computes batches of different sizes with different algorithms

_SIDES = (640, 832, 1024, 1280, 1600)
_USUAL_SIDE, _LARGEST_SIDE, _OVERVIEW_SIDE = 640, 1600, 320
_KEPT_SIDE = 1280
_COMFORTABLE_FACE = 16
"""A face of this many pixels is found surely; a picture is not searched any larger than needed."""


class YuNetDetector:
    """Runs the network named yunet."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._session = sessions["yunet.onnx"]
        self._kept = threading.local()  # calls may come from several threads

    def working_side(self, longest_side: int, *, min_face_px: float) -> int:
        """Return the least side at which the smallest wanted face is found surely."""
        wanted = longest_side * _COMFORTABLE_FACE / min_face_px
        return min(longest_side, next((s for s in _SIDES if s >= wanted), _LARGEST_SIDE))

    def detect(self, image_rgb: NDArray[np.uint8], *, min_face_px: float) -> Detections:
        """Find the faces of (h, w, 3) uint8 that are at least about `min_face_px` high."""
        longest = max(image_rgb.shape[:2])
        wanted = longest * _COMFORTABLE_FACE / min_face_px
        side = min(longest, max(_USUAL_SIDE, min(wanted, _LARGEST_SIDE)))
        found = self._detect_at(image_rgb, side / longest)
        both = [found]
        if longest > _USUAL_SIDE:
            both.append(self._detect_at(image_rgb, _OVERVIEW_SIDE / longest))
        return _together(both)

    def detect_prepared(
        self, inputs: tuple[PreparedInput, ...], working: tuple[int, int], count: int
    ) -> list[Detections]:
        """Return the faces of the first `count` pictures, in pixels of the working size."""
        found: list[list[Detections]] = [[] for _ in range(count)]
        for one in inputs:
            answers = self._session.run_fixed(_OUTPUTS, one.pixels)
            outputs = dict(zip(_OUTPUTS, answers, strict=True))
            inside = one.size.inside
            back = np.array([working[0] / inside[0], working[1] / inside[1]], np.float32)
            for row in range(count):
                found[row].append(_found(outputs, row, one.size.padded[0], back))
        return [_together(searches) for searches in found]

    def answers_batches(self) -> bool:
        """Try whether pictures of a batch are answered as if each were alone; two small runs."""
        noise = np.random.default_rng(0).uniform(0, 255, (2, 3, 2 * _GRID, 4 * _GRID))
        samples = noise.astype(np.float32)
        return same_in_batches(
            lambda values: self._session.run(_OUTPUTS, values), samples, tolerance=_ROUNDING
        )

    def _detect_at(self, image: NDArray[np.uint8], scale: float) -> Detections:
        height, width = (max(1, round(size * scale)) for size in image.shape[:2])
        smaller = image
        if scale < 1.0:
            resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            smaller = np.asarray(resized, np.uint8)
        pixels = self._input(height, width)
        for plane, colour in enumerate(cv2.split(smaller)[::-1]):
            np.copyto(pixels[0, plane, :height, :width], colour)
        outputs = dict(zip(_OUTPUTS, self._session.run(_OUTPUTS, pixels), strict=True))
        back = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
        return _found(outputs, 0, pixels.shape[3], back)

    def _input(self, height: int, width: int) -> NDArray[np.float32]:
        """Return an array for a picture, black where it is padded; of frames always the same one.

        A new one each time would be fetched from the system and cleared, for nothing.
        """
        kept: tuple[tuple[int, int], NDArray[np.float32]] | None = getattr(
            self._kept, "input", None
        )
        if kept is not None and kept[0] == (height, width):
            return kept[1]
        across, down = _padded((width, height))
        pixels = np.zeros((1, 3, down, across), np.float32)
        if max(across, down) <= _KEPT_SIDE:
            self._kept.input = (height, width), pixels
        return pixels


def input_sizes(working: tuple[int, int]) -> tuple[InputSize, ...]:
    """Return the inputs wanted for pictures of this working width and height."""
    longest = max(working)
    sides = [longest] if longest <= _USUAL_SIDE else [longest, _OVERVIEW_SIDE]
    insides = [fitted(*working, side) for side in sides]
    return tuple(InputSize(inside=inside, padded=_padded(inside)) for inside in insides)


def _padded(size: tuple[int, int]) -> tuple[int, int]:
    return _canvas_side(size[0]), _canvas_side(size[1])


def _canvas_side(size: int) -> int:
    return next((side for side in CANVAS_SIDES if side >= size), -(-size // _GRID) * _GRID)


def _together(searches: Sequence[Detections]) -> Detections:
    """Return what several searches of one picture found, each face once."""
    found = searches[0]
    if len(searches) > 1:
        found = Detections(
            boxes=np.concatenate([one.boxes for one in searches]),
            points=np.concatenate([one.points for one in searches]),
            scores=np.concatenate([one.scores for one in searches]),
        )
    return found.select(suppress(found.boxes, found.scores, overlap=_OVERLAP))


def _found(
    outputs: Mapping[str, NDArray[np.float32]], row: int, width: int, back: NDArray[np.float32]
) -> Detections:
    """Return the faces of one picture of a batch; `back` scales its input to the picture."""
    found = [_decode(outputs, stride, width // stride, row) for stride in _STRIDES]
    boxes, points, scores = (np.concatenate(column) for column in zip(*found, strict=True))
    best = np.argsort(-scores)[:_MAX_CANDIDATES]
    return Detections(
        boxes=boxes[best] * np.tile(back, 2), points=points[best] * back, scores=scores[best]
    )


def _decode(
    outputs: Mapping[str, NDArray[np.float32]], stride: int, columns: int, row: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return boxes (n, 4), points (n, 5, 2) and scores (n,) of the places that pass."""
    seen, there = (outputs[f"{head}_{stride}"][row, :, 0] for head in ("cls", "obj"))
    places = np.flatnonzero(seen * there >= _CHANCE)
    scores = np.sqrt(seen[places].clip(0, 1) * there[places].clip(0, 1))
    places, scores = places[scores >= _ACCEPT], scores[scores >= _ACCEPT]
    cell = np.stack([places % columns, places // columns], axis=1).astype(np.float32)
    box = outputs[f"bbox_{stride}"][row, places]
    centre = (cell + box[:, :2]) * stride
    half = np.exp(box[:, 2:].clip(-10, 10)) * (stride / 2)
    points = outputs[f"kps_{stride}"][row, places].reshape(-1, 5, 2)
    points = (points + cell[:, None, :]) * stride
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return boxes.astype(np.float32), points.astype(np.float32), scores.astype(np.float32)
