"""Pictures that somebody else has scaled, padded and laid out for a detector, as a batch.

Where pictures are decoded on a GPU they are made ready for the detector there too, and never leave
it. A detector that takes them names the input shapes that it wants (`engine.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_engine.fixed_shapes import OnDevice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedInput:
    """A batch at one input shape.

    Attributes:
        pixels: (b, 3, h, w) float32, the channels and values that the detector wants, each picture
            in the upper left corner; wherever it lies. b is n or more; what follows is padding.
        scales: (n, 2) float32; how many pixels of the answer's picture one of the input is, across
            and down.
    """

    pixels: OnDevice
    scales: NDArray[np.float32]


def fitted(width: int, height: int, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height that a picture gets inside an input of (height, width).

    It keeps its proportions as whole pixels allow, and is never enlarged.
    """
    scale = min(1.0, shape[1] / width, shape[0] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
