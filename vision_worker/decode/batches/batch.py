"""The port of decoding and pre-processing in batches across cameras, and its values.

`dali.py` implements it on NVDEC and a GPU, and on the CPU with the very same graph. PyAV, which
decodes one camera at a time, is `reader.py`. `batch_lane.py` is who calls it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from face_engine.detectors.prepared import InputSize, PreparedInput
from vision_worker.decode.batches.chunks import Chunk, UnusableChunk
from vision_worker.decode.picture import Picture

MOST_PICTURES: Final = 32
"""Pictures prepared at once; with their padding no more than 160 MB at 640x640."""

DecoderName = Literal["pyav", "dali-cpu", "dali-nvdec"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WantedFrames:
    """Which pictures of a chunk are to be decoded: positions in presentation order."""

    chunk: Chunk
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedPictures:
    """Pictures made ready, n of them, all of one working size.

    Attributes:
        images: n times (h, w, 3) uint8 RGB at the working size, on the host.
        inputs: one for each size that the detector wants.
    """

    images: Sequence[NDArray[np.uint8]]
    inputs: tuple[PreparedInput, ...]


class BatchDecoder(Protocol):
    """Decodes and prepares; not for several threads at once."""

    @property
    def name(self) -> DecoderName:
        """Return what decodes."""
        ...

    @property
    def width(self) -> int:
        """Return how many chunks are decoded side by side at most."""
        ...

    def decode(self, wanted: Sequence[WantedFrames]) -> list[Sequence[Picture] | UnusableChunk]:
        """Return the wanted pictures of each of at most `width` chunks, or why there are none."""
        ...

    def prepare(
        self, pictures: Sequence[Picture], working: tuple[int, int], sizes: Sequence[InputSize]
    ) -> PreparedPictures:
        """Scale and lay out decoded pictures, at most `MOST_PICTURES` of them.

        Args:
            pictures: of any size, all from where this decoder leaves them, or all others.
            working: width and height that all of them get.
            sizes: of the detector's inputs.
        """
        ...

    def close(self) -> None:
        """Free the memory."""
        ...
