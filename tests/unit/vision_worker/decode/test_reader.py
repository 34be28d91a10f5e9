"""The decoding thread against real recordings; its clock jumps instead of waiting."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest

from service_runtime.secret import Secret
from tests.support.clips import moving_pattern, write_clip
from tests.support.thread_clocks import RushingClock
from vision_worker.decode.frame import DecodeCounts, Frame
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings, FrameReader
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.opening import OpenedSource, Sources
from vision_worker.sources.policy import SourcePolicy


@dataclass(kw_only=True)
class Outcome:
    frames: list[Frame] = field(default_factory=list)
    failure: SourceFailure | None = None
    counts: DecodeCounts
    clock: RushingClock

    @property
    def numbers(self) -> list[int]:
        """Return which picture of the pattern each frame shows."""
        return [round((float(frame.image[:, :, 0].mean()) - 10) / 2) for frame in self.frames]


async def read(
    path: Path,
    *,
    query: str = "?loop=false",
    settings: DecodeSettings | None = None,
    at_most: int = 10_000,
) -> Outcome:
    sources = Sources(SourcePolicy(media_root=path.parent))
    source = sources.source_for(Secret(f"file:///{path.name}{query}"))
    frames = NewestFrames(asyncio.get_running_loop(), capacity=100_000)
    clock = RushingClock()
    reader = FrameReader(source, frames, settings or DecodeSettings(), clock)
    reader.start()
    outcome = Outcome(counts=reader.counts, clock=clock)
    try:
        async for frame in frames:
            outcome.frames.append(frame)
            if len(outcome.frames) >= at_most:
                break
    except SourceFailure as failure:
        outcome.failure = failure
    reader.stop()
    assert await asyncio.to_thread(reader.join, 10)
    outcome.counts = reader.counts
    return outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    return write_clip(folder / "clip.mp4", moving_pattern(100), sound=True)


async def test_frames_come_by_time_with_their_values(clip: Path) -> None:
    outcome = await read(clip)
    assert outcome.failure is None
    assert outcome.numbers == pytest.approx(list(range(0, 100, 5)), abs=1)
    assert [frame.media_s for frame in outcome.frames] == pytest.approx(np.arange(20) / 5, abs=0.01)
    assert [frame.index for frame in outcome.frames] == list(range(20))
    assert not any(frame.cut for frame in outcome.frames)
    first = outcome.frames[0]
    assert first.image.shape == (64, 96, 3)
    assert first.image.flags["C_CONTIGUOUS"]
    assert first.picture.size == (96, 64)
    assert first.captured_at.utcoffset() is not None


async def test_only_sampled_frames_are_converted(clip: Path) -> None:
    outcome = await read(clip)
    assert (outcome.counts.decoded, outcome.counts.sampled) == (100, 20)


async def test_a_recording_is_paced_by_its_timestamps(clip: Path) -> None:
    outcome = await read(clip)
    assert sum(outcome.clock.waited) == pytest.approx(3.8, abs=0.05)
    took = outcome.frames[-1].captured_at - outcome.frames[0].captured_at
    assert took.total_seconds() == pytest.approx(3.8, abs=0.05)


async def test_it_loops_for_ever_and_marks_each_beginning(clip: Path) -> None:
    outcome = await read(clip, query="", at_most=70)
    assert outcome.failure is None
    assert outcome.numbers[20:25] == pytest.approx(outcome.numbers[:5], abs=1)
    cuts = [at for at, frame in enumerate(outcome.frames) if frame.cut]
    assert cuts == [20, 40, 60]
    assert (np.diff([frame.media_s for frame in outcome.frames]) > 0.15).all()


async def test_only_key_frames_are_decoded_where_they_suffice(folder: Path) -> None:
    dense = write_clip(folder / "keys.mp4", moving_pattern(300), key_every=10)
    outcome = await read(dense, settings=DecodeSettings(sample_fps=1))
    assert len(outcome.frames) == 12
    assert outcome.counts.decoded < 100


async def test_the_detector_sees_a_large_picture_scaled_and_the_whole_stays(folder: Path) -> None:
    wide = write_clip(folder / "wide.mp4", moving_pattern(5, (1920, 1080)))
    outcome = await read(wide, settings=DecodeSettings(longest_side=640))
    assert outcome.frames[0].image.shape == (360, 640, 3)
    assert outcome.frames[0].picture.size == (1920, 1080)
    assert outcome.frames[0].scale == (3.0, 3.0)


@pytest.mark.parametrize(
    ("codec", "name"), [("libx264", "a.mkv"), ("mpeg4", "b.avi"), ("mjpeg", "c.mkv")]
)
async def test_other_containers_and_codecs(folder: Path, codec: str, name: str) -> None:
    outcome = await read(write_clip(folder / name, moving_pattern(20), codec=codec))
    assert len(outcome.frames) == 4


async def test_timestamps_that_jump_still_give_a_growing_time_line(folder: Path) -> None:
    stamps = [*range(20), *range(5000, 5020), *range(5021, 5041)]
    jumping = write_clip(folder / "jump.mkv", moving_pattern(60), stamps=stamps)
    outcome = await read(jumping)
    times = [frame.media_s for frame in outcome.frames]
    assert (np.diff(times) > 0).all()
    assert times[-1] < 20


async def test_a_change_of_resolution_is_marked_as_a_cut(folder: Path) -> None:
    parts = [folder / "small.ts", folder / "large.ts"]
    for part, size in zip(parts, ((96, 64), (128, 96)), strict=True):
        write_clip(part, moving_pattern(25, size), container_format="mpegts")
    both = folder / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    outcome = await read(both)
    sizes = [frame.picture.size for frame in outcome.frames]
    assert {(96, 64), (128, 96)} == set(sizes)
    assert [at for at, frame in enumerate(outcome.frames) if frame.cut] == [sizes.index((128, 96))]


async def test_a_recording_cut_off_in_the_middle_plays_as_far_as_it_goes(folder: Path) -> None:
    whole = write_clip(folder / "whole.ts", moving_pattern(100), container_format="mpegts")
    cut_off = folder / "half.ts"
    cut_off.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    outcome = await read(cut_off)
    assert outcome.failure is None
    assert 5 <= len(outcome.frames) < 15


async def test_noise_inside_a_stream_is_survived(folder: Path) -> None:
    whole = write_clip(folder / "clean.ts", moving_pattern(100), container_format="mpegts")
    data = bytearray(whole.read_bytes())
    rng = np.random.default_rng(5)
    for place in rng.integers(2000, len(data), 60):
        data[place] ^= 0xFF
    noisy = folder / "noisy.ts"
    noisy.write_bytes(bytes(data))
    outcome = await read(noisy)
    assert outcome.failure is None
    assert outcome.frames


async def test_a_file_with_sound_alone_is_no_stream(folder: Path) -> None:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate, silence.pts = 8000, 0
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    outcome = await read(path)
    assert outcome.failure is not None
    assert outcome.failure.reason == "not_a_stream"


async def test_a_codec_that_is_not_on_the_list(folder: Path) -> None:
    lossless = write_clip(folder / "ffv1.mkv", moving_pattern(5), codec="ffv1")
    outcome = await read(lossless)
    assert outcome.failure is not None
    assert outcome.failure.reason == "unsupported_codec"


async def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded(folder: Path) -> None:
    huge = write_clip(folder / "huge.mkv", moving_pattern(1, (4200, 4000)), codec="mjpeg")
    outcome = await read(huge)
    assert outcome.failure is not None
    assert outcome.failure.reason == "unsupported_codec"
    assert outcome.counts.decoded == 0


@dataclass(kw_only=True)
class ScriptedSource:
    """A live camera: opens what it is told to."""

    opening: Callable[[], OpenedSource]
    loops: bool = False
    live: bool = True

    def open(self) -> OpenedSource:
        return self.opening()


async def fail(opening: Callable[[], OpenedSource]) -> SourceFailure:
    frames = NewestFrames(asyncio.get_running_loop(), capacity=1000)
    reader = FrameReader(ScriptedSource(opening=opening), frames, DecodeSettings(), RushingClock())
    reader.start()
    with pytest.raises(SourceFailure) as caught:
        async for _ in frames:
            pass
    assert await asyncio.to_thread(reader.join, 10)
    return caught.value


async def test_the_end_of_a_live_stream_is_a_failure(clip: Path) -> None:
    def opening() -> OpenedSource:
        return OpenedSource(container=av.open(str(clip), "r"), paced=False, stamped=True)

    assert (await fail(opening)).reason == "ended"


async def test_an_unexpected_error_tells_nothing_of_its_text() -> None:
    def opening() -> OpenedSource:
        raise RuntimeError("rtsp://user:canary@host/x")

    failure = await fail(opening)
    assert failure.reason == "crashed"
    assert "canary" not in repr(failure) + failure.sentence


async def test_stopping_ends_a_paced_wait_at_once(clip: Path) -> None:
    outcome = await read(clip, query="", at_most=3)
    assert len(outcome.frames) == 3


async def test_frames_that_nobody_gets_to_are_sampled_ever_less(folder: Path) -> None:
    path = write_clip(folder / "long.mp4", moving_pattern(1000))
    sources = Sources(SourcePolicy(media_root=folder))
    source = sources.source_for(Secret(f"file:///{path.name}?loop=false"))
    frames = NewestFrames(asyncio.get_running_loop(), capacity=2)
    reader = FrameReader(source, frames, DecodeSettings(sample_fps=10), RushingClock())
    reader.start()
    assert await asyncio.to_thread(reader.join, 10)
    assert reader.counts.sampled < 0.4 * 400  # of 40 s
    assert reader.overloaded
    assert reader.sample_fps == pytest.approx(1.0)
