"""One sampled picture of a camera, as it passes from decoding to detection."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """A sampled frame.

    Attributes:
        image: (h, w, 3) uint8 RGB, contiguous, at the working size.
        captured_at: wall-clock time in UTC at which the frame was due.
        media_s: seconds on the stream's own time line; grows from frame to frame.
        index: counts the sampled frames of this source from 0.
        original_size: width and height of the stream in pixels.
        cut: nothing says that this frame follows the one before: a recording begins again, or the
            size of the picture changed.
    """

    image: NDArray[np.uint8]
    captured_at: datetime
    media_s: float
    index: int
    original_size: tuple[int, int]
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeCounts:
    """What decoding did so far.

    Attributes:
        dropped: sampled frames that a newer one replaced.
        damaged: packets that could not be decoded.
        decode_s: seconds spent on decoding.
        convert_s: seconds spent on scaling and conversion.
    """

    decoded: int
    sampled: int
    dropped: int
    damaged: int
    decode_s: float
    convert_s: float
