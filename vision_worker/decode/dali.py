"""Decoding and pre-processing with NVIDIA DALI: on NVDEC and the GPU, or all of it on the CPU.

Two graphs. One decodes: a batch is one chunk a camera (`chunks.py`), and of each the wanted
pictures come out in full. The other prepares pictures of any size and origin, decoded here or by a
decoder that keeps its state: scaled for the working size, and scaled, padded and laid out for each
input shape of the detector. Both are the same for a GPU and a CPU but for where they run; the CPU
variant decodes VP8, VP9 and MJPEG only. This module needs the package; `batch_choice.py` looks
whether it is there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from nvidia.dali import fn, pipeline_def, types

from face_engine.cuda_runtime import CudaRuntime
from face_engine.detectors.prepared import PreparedInput, fitted
from face_engine.fixed_shapes import bucket_for
from vision_worker.decode.batch import DecoderName, PreparedPictures, WantedFrames
from vision_worker.decode.chunks import UnusableChunk
from vision_worker.decode.full_pictures import ArrayPicture, CudaPicture
from vision_worker.decode.picture import Picture

MOST_PICTURES = 32
"""Pictures prepared at once; with their padding no more than 160 MB at 640x640."""
_BUCKETS = (1, 2, 4, 8, 16, 32)

Device = Literal["cpu", "gpu"]


class DaliDecoder:
    """A `BatchDecoder`; `runtime` is None on the CPU.

    Args:
        width: chunks decoded side by side; each 1080p one holds 100 to 150 MB of the GPU's memory.
        threads: CPU threads; at least twice the number of NVDEC engines keeps these busy.
        shapes: (height, width) of the detector's inputs.
        longest_side: of the working size, in pixels.
    """

    def __init__(
        self,
        *,
        runtime: CudaRuntime | None,
        width: int,
        threads: int,
        shapes: Sequence[tuple[int, int]],
        longest_side: int,
    ) -> None:
        self._runtime = runtime
        self._device: Device = "cpu" if runtime is None else "gpu"
        self._width = width
        self._shapes = tuple(shapes)
        self._longest_side = longest_side
        place = {"num_threads": threads, "device_id": None if runtime is None else 0}
        self._decoding = _decode_graph(
            device="cpu" if runtime is None else "mixed",
            **_settings(batch_size=width, **place),
        )
        self._preparing = _prepare_graph(
            device=self._device,
            shapes=self._shapes,
            **_settings(batch_size=MOST_PICTURES, **place),
        )
        self._decoding.build()
        self._preparing.build()

    @property
    def name(self) -> DecoderName:
        """Return what decodes."""
        return "dali-cpu" if self._runtime is None else "dali-nvdec"

    def decode(self, wanted: Sequence[WantedFrames]) -> list[Sequence[Picture] | UnusableChunk]:
        """Return the wanted pictures of each chunk, or why that one has none.

        A chunk that fails takes its batch with it, so those of a failed batch are tried singly.
        """
        if len(wanted) > self._width:
            raise ValueError(f"wanted: expected at most {self._width} chunks, got {len(wanted)}")
        if not wanted:
            return []
        try:
            return list(self._decode(wanted))
        except RuntimeError as error:
            if len(wanted) == 1:
                return [UnusableChunk(_first_words(error))]
        return [self.decode([one])[0] for one in wanted]

    def prepare(self, pictures: Sequence[Picture]) -> PreparedPictures:
        """Scale and lay out decoded pictures, at most `MOST_PICTURES` of them."""
        count = len(pictures)
        if not 1 <= count <= MOST_PICTURES:
            raise ValueError(f"pictures: expected 1 to {MOST_PICTURES}, got {count}")
        # whole batches have few sizes, so that what runs on them is planned, and captured, once
        padded = [*pictures, *[pictures[-1]] * (bucket_for(count, _BUCKETS) - count)]
        sizes = [picture.size for picture in padded]
        working = [fitted(*size, (self._longest_side, self._longest_side)) for size in sizes]
        fits = [[fitted(*size, shape) for size in working] for shape in self._shapes]
        feeds: dict[str, Any] = {
            "pictures": [_held(picture) for picture in padded],
            "working": _as_sizes(working),
        }
        for at, inner in enumerate(fits):
            feeds[f"fit_{at}"] = _as_sizes(inner)
        small, *tensors = self._preparing.run(**feeds)
        images = small.as_cpu()
        inputs = []
        for tensor, inner in zip(tensors, fits, strict=True):
            scales = [
                (image[0] / inside[0], image[1] / inside[1])
                for image, inside in zip(working[:count], inner, strict=False)
            ]
            inputs.append(
                PreparedInput(pixels=tensor.as_tensor(), scales=np.asarray(scales, np.float32))
            )
        return PreparedPictures(
            images=[np.array(images.at(at), np.uint8) for at in range(count)], inputs=inputs
        )

    def close(self) -> None:
        """Free the graphs and their memory."""
        del self._decoding, self._preparing

    def _decode(self, wanted: Sequence[WantedFrames]) -> list[Sequence[Picture]]:
        (videos,) = self._decoding.run(
            encoded=[np.frombuffer(one.chunk.data, np.uint8) for one in wanted],
            positions=[np.asarray(one.positions, np.int32) for one in wanted],
        )
        return [self._pictures(videos, at) for at in range(len(wanted))]

    def _pictures(self, videos: Any, row: int) -> Sequence[Picture]:  # noqa: ANN401 - DALI's list
        """Return the pictures of one (f, h, w, 3) uint8; they keep its memory as they live."""
        video = videos[row]
        if self._runtime is None:
            return [ArrayPicture(picture) for picture in np.array(video, np.uint8)]
        count, height, width, _ = video.shape()
        return [
            CudaPicture(
                owner=(videos, video),
                address=video.data_ptr() + at * height * width * 3,
                size=(width, height),
                runtime=self._runtime,
            )
            for at in range(count)
        ]


@pipeline_def
def _decode_graph(*, device: Literal["cpu", "mixed"]) -> Any:  # noqa: ANN401 - DALI's node
    encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1, no_copy=True)
    positions = fn.external_source(name="positions", dtype=types.INT32, ndim=1)
    return fn.decoders.video(encoded, device=device, frames=positions, affine=False)


@pipeline_def
def _prepare_graph(*, device: Device, shapes: Sequence[tuple[int, int]]) -> Any:  # noqa: ANN401 - likewise
    pictures = fn.external_source(
        name="pictures", device=device, dtype=types.UINT8, ndim=3, layout="HWC", no_copy=True
    )
    small = _scaled(pictures, fn.external_source(name="working", dtype=types.FLOAT, ndim=1))
    made = [small]
    for at, (height, width) in enumerate(shapes):
        inside = _scaled(small, fn.external_source(name=f"fit_{at}", dtype=types.FLOAT, ndim=1))
        made.append(
            fn.crop_mirror_normalize(
                fn.color_space_conversion(inside, image_type=types.RGB, output_type=types.BGR),
                dtype=types.FLOAT,
                output_layout="CHW",
                crop=(height, width),
                crop_pos_x=0.0,
                crop_pos_y=0.0,
                out_of_bounds_policy="pad",
                fill_values=0.0,
            )
        )
    return tuple(made)


def _scaled(pictures: Any, size: Any) -> Any:  # noqa: ANN401 - nodes of the graph
    # averages over what a pixel covers, as libav's AREA and OpenCV's INTER_AREA do
    return fn.resize(pictures, size=size, interp_type=types.INTERP_TRIANGULAR, antialias=True)


def _settings(**more: object) -> Mapping[str, Any]:
    """Return what both graphs are run with: one batch at a time, none in advance."""
    return {"prefetch_queue_depth": 1, "exec_dynamic": True, **more}


def _as_sizes(sizes: Sequence[tuple[int, int]]) -> list[NDArray[np.float32]]:
    return [np.asarray((height, width), np.float32) for width, height in sizes]


def _held(picture: Picture) -> object:
    """Return what the graph reads a picture from, without copying it."""
    match picture:
        case ArrayPicture() | CudaPicture():
            return picture.held
        case _:
            width, height = picture.size
            return picture.region(0, 0, width, height)


def _first_words(error: RuntimeError) -> str:
    """Return DALI's own reason out of its long text."""
    _, _, reason = str(error).partition("encountered:")
    lines = [line.strip() for line in (reason or str(error)).splitlines() if line.strip()]
    return lines[0][:200] if lines else "it cannot be decoded"
