"""Decoding and pre-processing with NVIDIA DALI: on NVDEC and the GPU, or all of it on the CPU.

Two graphs. One decodes: a batch is one chunk a camera (`chunks.py`), and of each the wanted
pictures come out in full. The other prepares pictures of any size and origin, decoded here or by a
decoder that keeps its state: scaled for the working size, and scaled, padded and laid out for each
input shape of the detector. Both are the same for a GPU and a CPU but for where they run; the CPU
variant decodes VP8, VP9 and MJPEG only. This module needs the package; `choice.py` looks
whether it is there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from nvidia.dali import fn, pipeline_def, types

from face_engine.cuda_runtime import CudaRuntime
from face_engine.detectors.prepared import InputSize, PreparedInput
from face_engine.fixed_shapes import bucket_for
from vision_worker.decode.batches.batch import (
    MOST_PICTURES,
    DecoderName,
    PreparedPictures,
    WantedFrames,
)
from vision_worker.decode.batches.chunks import UnusableChunk
from vision_worker.decode.batches.full_pictures import ArrayPicture, CudaPicture
from vision_worker.decode.picture import Picture

_NOTHING = (1, 1)  # for a detector that takes no batches: an input that nobody looks at
_BUCKETS = (1, 2, 4, 8, 16, 32)

Device = Literal["cpu", "gpu"]


class DaliDecoder:
    """A `BatchDecoder`; `runtime` is None on the CPU.

    Args:
        width: chunks decoded side by side; each 1080p one holds 100 to 150 MB of the GPU's memory.
        threads: CPU threads; at least twice the number of NVDEC engines keeps these busy.
    """

    def __init__(self, *, runtime: CudaRuntime | None, width: int, threads: int) -> None:
        self._runtime = runtime
        self._width = width
        self._place = {"num_threads": threads, "device_id": None if runtime is None else 0}
        self._decoding = pipeline_def(_decode_graph)(
            device="cpu" if runtime is None else "mixed",
            **_settings(batch_size=width, **self._place),
        )
        self._preparing: dict[Device, Any] = {}

    @property
    def name(self) -> DecoderName:
        """Return what decodes."""
        return "dali-cpu" if self._runtime is None else "dali-nvdec"

    @property
    def width(self) -> int:
        """Return how many chunks are decoded side by side at most."""
        return self._width

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

    def prepare(
        self, pictures: Sequence[Picture], working: tuple[int, int], sizes: Sequence[InputSize]
    ) -> PreparedPictures:
        """Scale and lay out decoded pictures, at most `MOST_PICTURES` of them."""
        count = len(pictures)
        if not 1 <= count <= MOST_PICTURES:
            raise ValueError(f"pictures: expected 1 to {MOST_PICTURES}, got {count}")
        # batches have few sizes, so that what runs on them is planned, and captured, once a size
        rows = bucket_for(count, _BUCKETS)
        graph = self._graph_for(pictures)
        feed = [_held(picture) for picture in pictures]
        feed += feed[-1:] * (rows - count)
        inputs = []
        images: Any = None
        for size in sizes or (InputSize(inside=_NOTHING, padded=_NOTHING),):
            small, tensor = graph.run(
                pictures=feed,
                working=_repeated(working, rows),
                inside=_repeated(size.inside, rows),
                padded=_repeated(size.padded, rows),
            )
            images = small if images is None else images
            if sizes:
                inputs.append(PreparedInput(pixels=tensor.as_tensor(), size=size))
        on_host = images.as_cpu()
        return PreparedPictures(
            images=[np.array(on_host.at(at), np.uint8) for at in range(count)],
            inputs=tuple(inputs),
        )

    def close(self) -> None:
        """Free the graphs and their memory."""
        del self._decoding, self._preparing

    def _graph_for(self, pictures: Sequence[Picture]) -> Any:  # noqa: ANN401 - DALI's pipeline
        """Return the graph that reads pictures from where these lie, made at the first use."""
        on_gpu = [isinstance(picture, CudaPicture) for picture in pictures]
        if any(on_gpu) and not all(on_gpu):
            raise ValueError("pictures: expected all on the GPU, or all on the host")
        source: Device = "gpu" if all(on_gpu) else "cpu"
        if source not in self._preparing:
            self._preparing[source] = pipeline_def(_prepare_graph)(
                source=source,
                device="cpu" if self._runtime is None else "gpu",
                **_settings(batch_size=MOST_PICTURES, **self._place),
            )
        return self._preparing[source]

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


def _decode_graph(*, device: Literal["cpu", "mixed"]) -> Any:  # noqa: ANN401 - DALI's node
    encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1, no_copy=True)
    positions = fn.external_source(name="positions", dtype=types.INT32, ndim=1)
    return fn.decoders.video(encoded, device=device, frames=positions, affine=False)


def _prepare_graph(*, source: Device, device: Device) -> Any:  # noqa: ANN401 - likewise
    given = fn.external_source(
        name="pictures", device=source, dtype=types.UINT8, ndim=3, layout="HWC", no_copy=True
    )
    pictures = given.gpu() if (source, device) == ("cpu", "gpu") else given
    working, inside, padded = (
        fn.external_source(name=name, dtype=types.FLOAT, ndim=1)
        for name in ("working", "inside", "padded")
    )
    small = _scaled(pictures, working)
    swapped = fn.color_space_conversion(
        _scaled(small, inside), image_type=types.RGB, output_type=types.BGR
    )
    laid_out = fn.crop_mirror_normalize(
        swapped,
        dtype=types.FLOAT,
        output_layout="CHW",
        crop=padded,
        crop_pos_x=0.0,
        crop_pos_y=0.0,
        out_of_bounds_policy="pad",
        fill_values=0.0,
    )
    return small, laid_out


def _scaled(pictures: Any, size: Any) -> Any:  # noqa: ANN401 - nodes of the graph
    # averages over what a pixel covers, as libav's AREA and OpenCV's INTER_AREA do
    return fn.resize(pictures, size=size, interp_type=types.INTERP_TRIANGULAR, antialias=True)


def _settings(**more: object) -> Mapping[str, Any]:
    """Return what both graphs are run with: one batch at a time, none in advance."""
    return {"prefetch_queue_depth": 1, "exec_dynamic": True, **more}


def _repeated(size: tuple[int, int], rows: int) -> list[NDArray[np.float32]]:
    """Return height and width once a picture, as DALI wants them."""
    return [np.asarray((size[1], size[0]), np.float32)] * rows


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
