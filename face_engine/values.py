"""The values that leave the face engine: detections, qualities and analysed faces.

They hold numbers and arrays only, so that every room can pass them on without knowing which pack
made them. `engine.py` makes them; `tracking` and the servicers read them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["good", "fair", "poor"]
QualityReason = Literal["small", "blurred", "turned", "dark", "bright", "cut_off", "covered"]


def _require_shape(name: str, actual: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if actual != expected:
        raise ValueError(f"{name}: expected shape {expected}, got {actual}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """The faces found in one picture, as columns with one row a face.

    Attributes:
        boxes: (n, 4) float32; x1, y1, x2, y2 in pixels of the given picture. A face at the rim
            may reach beyond the picture.
        points: (n, 5, 2) float32; x, y of eye, eye, nose, mouth corner, mouth corner, left to
            right in the picture.
        scores: (n,) float32; the detector's confidence, 0 to 1.
    """

    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = self.scores.shape[0] if self.scores.ndim else -1
        _require_shape("scores", self.scores.shape, (count,))
        _require_shape("boxes", self.boxes.shape, (count, 4))
        _require_shape("points", self.points.shape, (count, 5, 2))

    def __len__(self) -> int:
        return int(self.scores.shape[0])

    def select(self, indices: NDArray[np.intp] | NDArray[np.bool_] | Sequence[int]) -> Self:
        """Return the given rows, in the given order (or where a boolean mask is true)."""
        rows = np.asarray(indices)
        if rows.size == 0:
            rows = rows.astype(np.intp)
        return type(self)(
            boxes=self.boxes[rows], points=self.points[rows], scores=self.scores[rows]
        )

    @classmethod
    def empty(cls) -> Self:
        """Return the detections of a picture without a face."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            points=np.zeros((0, 5, 2), np.float32),
            scores=np.zeros((0,), np.float32),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well a face can be recognised, and why not better.

    Attributes:
        score: 0 to 1 overall; the best shot of a track is the one with the highest score.
        width_px: width of the face's box in pixels of the picture.
        blur: sharpness of the aligned chip: 0 is a smear, 1 is as sharp as need be.
        yaw: degrees, estimated from the five points; positive turns to the picture's right.
        pitch: degrees, estimated from the five points; positive looks down.
        brightness: mean luminance of the aligned chip, 0 to 1.
        occlusion: 0 where both eyes and mouth corners can be seen, 1 where one surely cannot.
        verdict: "good" enrols and matches, "fair" matches, "poor" is not worth embedding.
        reasons: what lowers the score, the worst first; empty for a good face.
    """

    score: float
    width_px: float
    blur: float
    yaw: float
    pitch: float
    brightness: float
    occlusion: float
    verdict: Verdict
    reasons: tuple[QualityReason, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalyzedFace:
    """One face of a photograph with all that enrolment and search need.

    Attributes:
        box: (4,) float32; x1, y1, x2, y2 in pixels of the picture.
        points: (5, 2) float32; as in `Detections`.
        score: the detector's confidence, 0 to 1.
        quality: how well the face can be recognised.
        embedding: (d,) float32; unit length, in the pack's comparison space, where the dot
            product of two embeddings is the pack's score.
        chip: (h, w, 3) uint8; the aligned face, RGB.
    """

    box: NDArray[np.float32]
    points: NDArray[np.float32]
    score: float
    quality: Quality
    embedding: NDArray[np.float32]
    chip: NDArray[np.uint8]

    def __post_init__(self) -> None:
        _require_shape("box", self.box.shape, (4,))
        _require_shape("points", self.points.shape, (5, 2))
        _require_shape("embedding", self.embedding.shape, (self.embedding.size,))
        _require_shape("chip", self.chip.shape, (*self.chip.shape[:2], 3))
