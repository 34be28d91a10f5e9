"""The graphs of NVIDIA DALI, run on the CPU: the same pictures and faces that libav's way gives.

Needs the package (`make test-dali`); the graphs are those that run on a GPU, but VP8, VP9 and
MJPEG are all that this variant decodes.
"""

import asyncio
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import av
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed; `make test-dali`")

from nvidia.dali import tensors

from face_engine.cuda_runtime import CudaRuntime
from face_engine.detectors.prepared import InputSize, fitted
from face_engine.engine import FaceEngine
from service_runtime.secret import Secret
from tests.support.astronaut import astronaut
from tests.support.clips import moving_pattern, write_clip
from tests.support.packs import yunet_engine
from tests.support.thread_clocks import RushingClock
from vision_worker.decode.batches.batch import BatchDecoder, WantedFrames
from vision_worker.decode.batches.batch_thread import BatchThread
from vision_worker.decode.batches.choice import BatchReaders, open_dali
from vision_worker.decode.batches.chunks import (
    Arrival,
    Chunk,
    ChunkCollector,
    UnusableChunk,
    own_packets,
    pack_chunk,
)
from vision_worker.decode.batches.full_pictures import ArrayPicture, CudaPicture
from vision_worker.decode.frame import Frame
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.picture import AvPicture, Picture
from vision_worker.decode.reader import DecodeSettings, FrameReader
from vision_worker.sources.opening import Source, Sources
from vision_worker.sources.policy import SourcePolicy

__all__ = ["yunet_engine"]

_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"}
_DIFFERENCE = 3.0
"""Mean of 255 levels: DALI spreads colours over pixels otherwise than libav, seen 1.3 to 1.6."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[BatchDecoder]:
    opened = open_dali(None, width=4)
    yield opened
    opened.close()


def _walk(count: int, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Return pictures of somebody who walks through them."""
    face = astronaut()[:300, 100:400]
    pictures = []
    for number in range(count):
        picture = np.full((size[1], size[0], 3), 90, np.uint8)
        left = 40 + 4 * number
        picture[20:320, left : left + 300] = face
        pictures.append(picture)
    return pictures


def _chunks(path: Path) -> list[Chunk]:
    container = av.open(str(path))
    stream = container.streams.video[0]
    collector, groups = ChunkCollector(), []
    for packet in container.demux(stream):
        if packet.size and (group := collector.add(Arrival(packet=packet, at=datetime.now(UTC)))):
            groups.append(group)  # noqa: PERF401 - the collector ends it, after the last packet
    groups.append(collector.rest())
    return [pack_chunk(stream, own_packets(group)) for group in groups]


def _reference(chunk: Chunk, position: int) -> av.VideoFrame:
    with av.open(io.BytesIO(chunk.data), "r") as container:
        return list(container.decode(video=0))[position]


def _whole(picture: Picture) -> NDArray[np.uint8]:
    return picture.region(0, 0, *picture.size)


def _difference(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).mean())


@pytest.fixture(scope="module")
def vp9(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    return write_clip(
        folder / "walk.webm", _walk(20, (480, 352)), codec="libvpx-vp9", key_every=10, options=_VP9
    )


@pytest.fixture(scope="module")
def mjpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    pictures = _walk(3, (640, 360))
    return write_clip(folder / "walk.mkv", pictures, codec="mjpeg", key_every=1)


def test_pictures_are_those_of_libav_whatever_their_sizes_and_codecs(
    decoder: BatchDecoder, vp9: Path, mjpeg: Path
) -> None:
    walking, still = _chunks(vp9)[1], _chunks(mjpeg)[2]
    wanted = [
        WantedFrames(chunk=walking, positions=(0, 4, 9)),
        WantedFrames(chunk=still, positions=(0,)),
    ]
    several, single = decoder.decode(wanted)
    assert not isinstance(several, UnusableChunk)
    assert not isinstance(single, UnusableChunk)
    assert [one.size for one in [*several, *single]] == [(480, 352)] * 3 + [(640, 360)]
    for position, picture in zip((0, 4, 9), several, strict=True):
        expected = _reference(walking, position).to_ndarray(format="rgb24")
        assert _difference(_whole(picture), expected) < _DIFFERENCE
        other = _reference(walking, (position + 5) % 10).to_ndarray(format="rgb24")
        assert _difference(_whole(picture), other) > 2 * _DIFFERENCE, "the test tells nothing"
    expected = _reference(still, 0).to_ndarray(format="rgb24")
    assert _difference(_whole(single[0]), expected) < _DIFFERENCE


def test_prepared_inputs_are_laid_out_for_the_detector(decoder: BatchDecoder, vp9: Path) -> None:
    (pictures,) = decoder.decode([WantedFrames(chunk=_chunks(vp9)[0], positions=(0, 3, 7))])
    assert not isinstance(pictures, UnusableChunk)
    working = fitted(480, 352, 320)
    sizes = (
        InputSize(inside=working, padded=(320, 256)),
        InputSize(inside=(160, 117), padded=(160, 128)),
    )
    made = decoder.prepare(pictures, working, sizes)
    assert [image.shape for image in made.images] == [(235, 320, 3)] * 3
    for one, size in zip(made.inputs, sizes, strict=True):
        pixels = onnxruntime.OrtValue.from_dlpack(one.pixels).numpy()
        width, height = size.inside
        assert pixels.shape == (4, 3, size.padded[1], size.padded[0])  # three and one of padding
        assert not pixels[:, :, height:].any()
        assert not pixels[:, :, :, width:].any()
    whole = onnxruntime.OrtValue.from_dlpack(made.inputs[0].pixels).numpy()
    for row, image in enumerate(made.images):
        blue_green_red = image.transpose(2, 0, 1)[::-1]
        np.testing.assert_array_equal(whole[row, :, :235, :320], blue_green_red)
        scaled = pictures[row].scaled(320)
        assert _difference(image, scaled) < _DIFFERENCE


def test_pictures_of_other_decoders_enter_the_same_graph(decoder: BatchDecoder, vp9: Path) -> None:
    chunk = _chunks(vp9)[0]
    (here,) = decoder.decode([WantedFrames(chunk=chunk, positions=(2,))])
    assert not isinstance(here, UnusableChunk)
    there = AvPicture(_reference(chunk, 2))
    working = (240, 176)
    one = decoder.prepare(here, working, ()).images[0]
    other = decoder.prepare([there], working, ()).images[0]
    assert _difference(one, other) < _DIFFERENCE


@pytest.mark.parametrize("bad", [b"", b"no container at all" * 50])
def test_a_bad_chunk_costs_the_others_nothing(decoder: BatchDecoder, vp9: Path, bad: bytes) -> None:
    good = WantedFrames(chunk=_chunks(vp9)[0], positions=(0, 1))
    broken = WantedFrames(chunk=Chunk(data=bad, pictures=1), positions=(0,))
    first, second, third = decoder.decode([good, broken, good])
    assert isinstance(second, UnusableChunk)
    assert not isinstance(first, UnusableChunk)
    assert not isinstance(third, UnusableChunk)
    assert (len(first), len(third)) == (2, 2)


def test_a_chunk_that_is_cut_off_is_no_crash(decoder: BatchDecoder, vp9: Path) -> None:
    whole = _chunks(vp9)[0]
    cut = Chunk(data=whole.data[: len(whole.data) // 2], pictures=whole.pictures)
    (outcome,) = decoder.decode([WantedFrames(chunk=cut, positions=(0, 9))])
    assert isinstance(outcome, UnusableChunk) or len(outcome) == 2
    (again,) = decoder.decode([WantedFrames(chunk=whole, positions=(0,))])
    assert not isinstance(again, UnusableChunk)


async def _frames(source: Source, batches: BatchThread | None) -> list[Frame]:
    frames = NewestFrames(asyncio.get_running_loop(), capacity=10_000)
    clock, settings = RushingClock(), DecodeSettings(sample_fps=5, longest_side=480)
    reader = (
        FrameReader(source, frames, settings, clock)
        if batches is None
        else BatchReaders(batches)(source, frames, settings, clock)
    )
    reader.start()
    found = [frame async for frame in frames]
    assert await asyncio.to_thread(reader.join, 10)
    return found


async def test_a_camera_has_the_same_faces_either_way(
    decoder: BatchDecoder, vp9: Path, yunet_engine: FaceEngine
) -> None:
    """The whole way: packets, chunks, both graphs, and the detector on what lies ready."""
    sources = Sources(SourcePolicy(media_root=vp9.parent))
    source = sources.source_for(Secret(f"file:///{vp9.name}?loop=false"))
    plain = await _frames(source, None)
    batches = BatchThread(_Kept(decoder), yunet_engine.input_sizes)
    batches.start()
    chunked = await _frames(source, batches)
    assert len(chunked) == len(plain) == 4
    for one, other in zip(chunked, plain, strict=True):
        assert _difference(one.image, other.image) < _DIFFERENCE
        assert one.prepared is not None
        found = one.prepared.found(yunet_engine)
        expected = yunet_engine.detect(other.image)
        assert found is not None
        assert len(found) == len(expected) == 1
        assert np.abs(found.boxes - expected.boxes).max() < 4
        assert np.abs(found.points - expected.points).max() < 3
        assert abs(found.scores[0] - expected.scores[0]) < 0.05
    batches.close()


class _Kept:
    """The module's decoder, which the thread's end is not to close."""

    def __init__(self, decoder: BatchDecoder) -> None:
        self._decoder = decoder
        self.name, self.width = decoder.name, decoder.width
        self.decode, self.prepare = decoder.decode, decoder.prepare

    def close(self) -> None:
        """Leave it to the others."""


def test_a_picture_on_a_gpu_is_named_by_where_it_lies() -> None:
    """As far as that shows without a GPU: DALI takes the address, and no copy."""
    picture = CudaPicture(owner=None, address=4096, size=(6, 4), runtime=cast(CudaRuntime, None))
    taken = tensors.TensorGPU(picture, "HWC", 0)
    assert (taken.data_ptr(), taken.shape(), taken.layout()) == (4096, [4, 6, 3], "HWC")


def test_it_lives_beside_the_other_libraries(decoder: BatchDecoder) -> None:
    """Of one process: DALI's own libav, PyAV's and OpenCV's, NumPy and ONNX Runtime."""
    pictures: Sequence[NDArray[np.uint8]] = moving_pattern(2)
    made = decoder.prepare([ArrayPicture(one) for one in pictures], (48, 32), ())
    assert [image.shape for image in made.images] == [(32, 48, 3)] * 2
