"""Pictures that somebody else has scaled, padded and laid out for a detector, as a batch.

Where pictures are decoded on a GPU they are made ready for the detector there too, and never leave
it. A detector that takes them names the inputs that it wants (`engine.py`); `vision_worker/decode`
makes them.
"""

from dataclasses import dataclass
from typing import Protocol

from face_engine.fixed_shapes import OnDevice
from face_engine.values import Detections


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSize:
    """What a detector wants to search a picture of the working size for.

    Attributes:
        inside: width and height that the picture is scaled to.
        padded: width and height of the input, the picture in its upper left corner, then zeros.
    """

    inside: tuple[int, int]
    padded: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedInput:
    """A batch of pictures of one working size.

    Attributes:
        pixels: (b, 3, h, w) float32 BGR, 0 to 255, padded as `size` says; wherever it lies.
        size: how it was made.
    """

    pixels: OnDevice
    size: InputSize


class BatchDetector(Protocol):
    """Finds faces in prepared batches; YuNet does, MTCNN cannot."""

    def detect_prepared(
        self, inputs: "tuple[PreparedInput, ...]", working: tuple[int, int], count: int
    ) -> list[Detections]:
        """Return the faces of the first `count` pictures, in pixels of the working size."""
        ...


def fitted(width: int, height: int, longest_side: int) -> tuple[int, int]:
    """Return the width and height of a picture whose sides are to be no longer; never enlarged."""
    scale = min(1.0, longest_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
