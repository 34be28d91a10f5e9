"""One sampled picture of a camera, as it passes from decoding to detection."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from vision_worker.decode.batches.prepared import PreparedRow
from vision_worker.decode.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """A sampled frame.

    Attributes:
        image: (h, w, 3) uint8 RGB, contiguous, small: what the detector sees.
        picture: the decoded picture in full; it is let go of with the frame.
        captured_at: wall-clock time in UTC at which the frame was due.
        media_s: seconds on the stream's own time line; grows from frame to frame.
        index: counts the sampled frames of this source from 0.
        cut: nothing says that this frame follows the one before: a recording begins again, or the
            size of the picture changed.
        prepared: its place in a batch that lies ready for the detector, where there is one.
    """

    image: NDArray[np.uint8]
    picture: Picture
    captured_at: datetime
    media_s: float
    index: int
    cut: bool
    prepared: PreparedRow | None = None

    @property
    def scale(self) -> tuple[float, float]:
        """Return how many pixels of the picture one of the image is, across and down."""
        width, height = self.picture.size
        return width / self.image.shape[1], height / self.image.shape[0]


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
