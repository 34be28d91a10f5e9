"""A camera that is read in chunks gives the frames that decoding it at once gives."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from face_engine.packs import resolve_pack
from service_runtime.secret import Secret
from tests.support.batch_decoders import LibavBatches
from tests.support.clips import moving_pattern, write_clip
from tests.support.thread_clocks import RushingClock
from vision_worker.decode.batches.batch_thread import BatchThread
from vision_worker.decode.batches.choice import (
    BatchReaders,
    CannotDecodeInBatches,
    DecodingChoice,
    batch_width,
)
from vision_worker.decode.batches.chunk_reader import ChunkReader
from vision_worker.decode.frame import DecodeCounts, Frame
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings, FrameReader
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.opening import OpenedSource, Source, Sources
from vision_worker.sources.policy import SourcePolicy


@pytest.fixture
def decoder() -> LibavBatches:
    return LibavBatches()


@pytest.fixture
def batches(decoder: LibavBatches) -> Iterator[BatchThread]:
    thread = BatchThread(decoder, lambda _working: ())
    thread.start()
    yield thread
    decoder.gate.set()
    thread.close()


async def _frames(
    reader_type: str, source: Source, batches: BatchThread, at_most: int = 10_000
) -> tuple[list[Frame], DecodeCounts, SourceFailure | None]:
    frames = NewestFrames(asyncio.get_running_loop(), capacity=10_000)
    clock, settings = RushingClock(), DecodeSettings(sample_fps=5, longest_side=64)
    reader = (
        FrameReader(source, frames, settings, clock)
        if reader_type == "libav"
        else BatchReaders(batches)(source, frames, settings, clock)
    )
    reader.start()
    found: list[Frame] = []
    failure = None
    try:
        async for frame in frames:
            found.append(frame)
            if len(found) >= at_most:
                break
    except SourceFailure as error:
        failure = error
    reader.stop()
    assert await asyncio.to_thread(reader.join, 10)
    return found, reader.counts, failure


def _source(clip: Path, *, loop: bool = False) -> Source:
    sources = Sources(SourcePolicy(media_root=clip.parent))
    return sources.source_for(Secret(f"file:///{clip.name}?loop={str(loop).lower()}"))


def _numbers(frames: list[Frame]) -> list[int]:
    """Return which picture of the pattern each frame shows."""
    found = []
    for frame in frames:
        full = frame.picture.region(0, 0, *frame.picture.size)
        found.append(round((float(full[:, :, 0].mean()) - 10) / 2))
    return found


@pytest.mark.parametrize("reordered", [False, True])
async def test_frames_are_those_of_the_other_reader(
    tmp_path: Path, batches: BatchThread, decoder: LibavBatches, reordered: bool
) -> None:
    options = {"bf": "2", "preset": "veryfast", "sc_threshold": "0"} if reordered else None
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(75), key_every=25, options=options)
    source = _source(clip)
    plain, _, _ = await _frames("libav", source, batches)
    chunked, counts, failure = await _frames("chunks", source, batches)
    assert failure is None
    assert _numbers(chunked) == pytest.approx(_numbers(plain), abs=1)
    assert [one.media_s for one in chunked] == pytest.approx(
        [one.media_s for one in plain],
        abs=0.05,  # the other reader skips pictures that none refers to
    )
    assert [one.index for one in chunked] == list(range(15))
    assert [one.image.shape for one in chunked] == [(43, 64, 3)] * 15
    assert (counts.decoded, counts.sampled, counts.damaged, counts.dropped) == (75, 15, 0, 0)
    assert sum(decoder.sizes) == 3


async def test_frames_say_when_they_arrived(tmp_path: Path, batches: BatchThread) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(50), key_every=25)
    frames, _, _ = await _frames("chunks", _source(clip), batches)
    since = [(one.captured_at - frames[0].captured_at).total_seconds() for one in frames]
    assert since == pytest.approx(np.arange(10) / 5, abs=0.05)


async def test_a_recording_that_begins_again_is_a_cut(tmp_path: Path, batches: BatchThread) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(50), key_every=25)
    frames, _, _ = await _frames("chunks", _source(clip, loop=True), batches, at_most=25)
    assert [at for at, frame in enumerate(frames) if frame.cut] == [10, 20]
    assert np.diff([frame.media_s for frame in frames]).min() > 0


async def test_key_frames_far_apart_are_decoded_by_libav_and_prepared_in_the_batch(
    tmp_path: Path, batches: BatchThread, decoder: LibavBatches
) -> None:
    clip = write_clip(tmp_path / "long.mp4", moving_pattern(60), fps=10, key_every=100)
    source = _source(clip)
    plain, _, _ = await _frames("libav", source, batches)
    frames, counts, failure = await _frames("chunks", source, batches)
    assert failure is None
    assert sum(decoder.sizes) == 0
    assert sum(decoder.prepared) > 0
    assert len(frames) + counts.dropped == counts.sampled > 0
    assert any(frame.prepared is not None for frame in frames)
    assert (np.diff([frame.media_s for frame in frames]) > 0).all()
    # the newest frames win, so some may be missing; what comes is right
    assert set(_numbers(frames)) <= {n + d for n in _numbers(plain) for d in (-1, 0, 1)}


async def test_what_is_no_good_for_chunks_is_remembered(
    tmp_path: Path, batches: BatchThread
) -> None:
    clip = write_clip(tmp_path / "long.mp4", moving_pattern(60), fps=10, key_every=100)
    readers = BatchReaders(batches)
    loop = asyncio.get_running_loop()
    opened: list[int] = []
    source = _Counting(_source(clip), opened)
    for expected in (2, 1):  # in chunks and then by libav; the second time by libav at once
        opened.clear()
        frames = NewestFrames(loop, capacity=1000)
        reader = readers(source, frames, DecodeSettings(), RushingClock())
        reader.start()
        assert [frame async for frame in frames]
        assert await asyncio.to_thread(reader.join, 10)
        assert len(opened) == expected


class _Counting:
    def __init__(self, source: Source, opened: list[int]) -> None:
        self._source, self._opened = source, opened
        self.loops, self.live = source.loops, source.live

    def open(self) -> OpenedSource:
        self._opened.append(1)
        return self._source.open()


@pytest.mark.parametrize("how", ["refuses", "breaks"])
async def test_a_decoder_that_fails_leaves_the_camera_to_libav(
    tmp_path: Path, batches: BatchThread, decoder: LibavBatches, how: str
) -> None:
    setattr(decoder, how, True)
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(200), key_every=10)
    frames, counts, failure = await _frames("chunks", _source(clip), batches)
    assert failure is None
    assert frames
    assert batches.alive == (how == "refuses")
    if how == "refuses":
        assert counts.damaged >= 3
    begin_s = frames[0].media_s  # the recording is opened again, and its time goes on
    assert np.diff([begin_s, *[frame.media_s for frame in frames[1:]]]).min() > 0
    assert frames[0].cut == (begin_s > 0)


async def test_a_codec_that_is_not_decoded_in_batches_is_left_to_libav(
    tmp_path: Path, batches: BatchThread, decoder: LibavBatches
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", moving_pattern(30), codec="mjpeg", key_every=1)
    frames, _, failure = await _frames("chunks", _source(clip), batches)
    assert failure is None
    assert frames
    assert sum(decoder.sizes) == 0


async def test_no_picture_at_all_is_told(tmp_path: Path, batches: BatchThread) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"\0" * 2000)
    _, _, failure = await _frames("chunks", _source(tmp_path / "empty.mp4"), batches)
    assert failure is not None
    assert failure.reason == "not_a_stream"


async def test_a_reader_stops_in_the_middle_of_a_batch(
    tmp_path: Path, batches: BatchThread, decoder: LibavBatches
) -> None:
    decoder.gate.clear()
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(50), key_every=25)
    frames = NewestFrames(asyncio.get_running_loop(), capacity=100)
    reader = ChunkReader(_source(clip), frames, DecodeSettings(), RushingClock(), batches=batches)
    reader.start()
    assert await asyncio.to_thread(decoder.at_gate.wait, 10)
    reader.stop()
    assert await asyncio.to_thread(reader.join, 5)
    decoder.gate.set()


def test_the_choice_follows_what_the_models_run_on() -> None:
    def absent() -> LibavBatches:
        raise CannotDecodeInBatches("NVIDIA DALI is not installed")

    pack = resolve_pack("yunet-dlib")
    lacking = DecodingChoice(absent)
    assert lacking.decoding_for(pack, "cpu").reason is None
    told = lacking.decoding_for(pack, "cuda")
    assert (told.name, told.reason) == ("pyav", "NVIDIA DALI is not installed")
    lacking.close()

    decoder = LibavBatches()
    there = DecodingChoice(lambda: decoder)
    assert there.decoding_for(pack, "cpu").name == "pyav"
    chosen = there.decoding_for(pack, "cuda")
    assert (chosen.name, chosen.reason) == ("dali-nvdec", None)
    there.close()
    assert decoder.closed


@pytest.mark.parametrize(("free_gib", "width"), [(0.1, 1), (2, 3), (16, 27), (80, 32), (141, 32)])
def test_the_width_of_a_batch_follows_the_memory(free_gib: float, width: int) -> None:
    assert batch_width(int(free_gib * 1024**3)) == width
