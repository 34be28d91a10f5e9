"""The port of decoding and pre-processing in batches across cameras, and its values.

`dali.py` implements it on NVDEC and a GPU, and on the CPU with the very same graph. PyAV, which
decodes one camera at a time, is `reader.py`. `batch_lane.py` is who calls it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from face_engine.detectors.prepared import PreparedInput
from vision_worker.decode.chunks import Chunk, UnusableChunk
from vision_worker.decode.picture import Picture

DecoderName = Literal["pyav", "dali-cpu", "dali-nvdec"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WantedFrames:
    """Which pictures of a chunk are to be decoded: positions in presentation order."""

    chunk: Chunk
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedPictures:
    """Pictures made ready, n of them.

    Attributes:
        images: n times (h, w, 3) uint8 RGB at the working size, on the host.
        inputs: one a shape that the detector wants.
    """

    images: Sequence[NDArray[np.uint8]]
    inputs: Sequence[PreparedInput]


class BatchDecoder(Protocol):
    """Decodes and prepares; not for several threads at once."""

    @property
    def name(self) -> DecoderName:
        """Return what decodes."""
        ...

    def decode(self, wanted: Sequence[WantedFrames]) -> list[Sequence[Picture] | UnusableChunk]:
        """Return the wanted pictures of each chunk, or why that one has none."""
        ...

    def prepare(self, pictures: Sequence[Picture]) -> PreparedPictures:
        """Scale and lay out decoded pictures, at most `most_pictures` of them."""
        ...

    def close(self) -> None:
        """Free the memory."""
        ...
