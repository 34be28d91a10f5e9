"""A batch decoder on libav, for tests of what stands around one where there is no GPU."""

import io
import threading
from collections.abc import Sequence

import av
import cv2
import numpy as np

from face_engine.detectors.prepared import InputSize, PreparedInput
from vision_worker.decode.batches.batch import DecoderName, PreparedPictures, WantedFrames
from vision_worker.decode.batches.chunks import UnusableChunk
from vision_worker.decode.batches.full_pictures import ArrayPicture
from vision_worker.decode.picture import Picture


class LibavBatches:
    """Decodes chunks one after the other; passes for the decoder of a GPU.

    Attributes:
        gate: closed, it holds up the next batch.
        sizes: of the batches so far.
        breaks: the next batch ends the decoder.
        refuses: no chunk can be decoded.
    """

    def __init__(self, *, width: int = 4) -> None:
        self._width = width
        self.gate = threading.Event()
        self.gate.set()
        self.at_gate = threading.Event()
        self.sizes: list[int] = []
        self.prepared: list[int] = []
        self.breaks = False
        self.refuses = False
        self.closed = False

    @property
    def name(self) -> DecoderName:
        return "dali-nvdec"

    @property
    def width(self) -> int:
        return self._width

    def decode(self, wanted: Sequence[WantedFrames]) -> list[Sequence[Picture] | UnusableChunk]:
        self.at_gate.set()
        assert self.gate.wait(10)
        if self.breaks:
            raise MemoryError
        self.sizes.append(len(wanted))
        return [self._decoded(one) for one in wanted]

    def _decoded(self, one: WantedFrames) -> Sequence[Picture] | UnusableChunk:
        if self.refuses:
            return UnusableChunk("the decoder refuses everything")
        with av.open(io.BytesIO(one.chunk.data), "r") as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return [ArrayPicture(np.asarray(frames[at], np.uint8)) for at in one.positions]

    def prepare(
        self, pictures: Sequence[Picture], working: tuple[int, int], sizes: Sequence[InputSize]
    ) -> PreparedPictures:
        self.prepared.append(len(pictures))
        images = []
        for picture in pictures:
            resized = cv2.resize(picture.region(0, 0, *picture.size), working)
            images.append(np.asarray(resized, np.uint8))
        inputs = []
        for size in sizes:
            width, height = size.inside
            pixels = np.zeros((len(images), 3, size.padded[1], size.padded[0]), np.float32)
            for row, image in enumerate(images):
                inside = np.asarray(cv2.resize(image, size.inside), np.uint8)
                pixels[row, :, :height, :width] = inside.transpose(2, 0, 1)[::-1]
            inputs.append(PreparedInput(pixels=pixels, size=size))
        return PreparedPictures(images=images, inputs=tuple(inputs))

    def close(self) -> None:
        self.closed = True
