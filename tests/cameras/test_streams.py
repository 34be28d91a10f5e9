"""Streams that are no faults: each is watched as it is, whatever else a camera sends with it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from service_runtime.secret import Secret
from tests.cameras.gstreamer import RtspServer
from tests.support.reels import (
    Reel,
    corrupted,
    frozen,
    gradient,
    joined,
    reel,
    stamped,
)
from tests.support.watching import loopback_sources
from vision_worker.decode.frame import DecodeCounts, Frame
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings, FrameReader
from vision_worker.decode.thread_clock import SystemThreadClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a reader made of a camera."""

    frames: list[Frame]
    counts: DecodeCounts
    seconds: float

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [frame.picture.size for frame in self.frames]


async def read(url: str, *, frames: int, sample_fps: float = 5) -> Read:
    """Read so many sampled frames of a camera."""
    source = loopback_sources(Path("/nonexistent")).source_for(Secret(url))
    handed = NewestFrames(asyncio.get_running_loop(), capacity=1000)
    reader = FrameReader(source, handed, DecodeSettings(sample_fps=sample_fps), SystemThreadClock())
    reader.start()
    found: list[Frame] = []
    first_s = 0.0
    try:
        async with asyncio.timeout(40):
            async for frame in handed:
                first_s = first_s or asyncio.get_running_loop().time()
                found.append(frame)
                if len(found) == frames:
                    break
    finally:
        reader.stop()
        assert await asyncio.to_thread(reader.join, 10)
    seconds = asyncio.get_running_loop().time() - first_s
    return Read(frames=found, counts=reader.counts, seconds=seconds)


PLAIN = reel(gradient(50))

STREAMS: dict[str, Callable[[], Reel]] = {
    "h264": lambda: PLAIN,
    "h265": lambda: reel(gradient(50), codec="h265"),
    "mjpeg": lambda: reel(gradient(50), codec="mjpeg"),
    "B-frames": lambda: reel(gradient(50), b_frames=3),
    "a key frame a second, moved along by intra refresh": lambda: reel(
        gradient(100), options={"x264-params": "aud=1:intra-refresh=1:keyint=25"}
    ),
    "no key frame for a minute": lambda: reel(gradient(250), key_every=1500),
    "a new size in the middle": lambda: joined(PLAIN, reel(gradient(50, (640, 480)))),
    "a smaller size in the middle": lambda: joined(PLAIN, reel(gradient(50, (160, 128)))),
    "a clock that jumps an hour ahead": lambda: stamped(
        PLAIN, lambda number, stamp_s: stamp_s + 3600 * (number > 25)
    ),
    "a clock that runs backwards": lambda: stamped(PLAIN, lambda _, stamp_s: 9 - stamp_s),
    "a clock that stands": lambda: stamped(PLAIN, lambda _number, _stamp_s: 0.0),
    "a clock without sense": lambda: stamped(
        PLAIN, lambda number, _stamp_s: random.Random(number).uniform(0, 60)
    ),
    "a frozen picture": lambda: frozen(PLAIN),
    "damaged units": lambda: corrupted(PLAIN, random.Random(1), every=4),
    "12 frames a second": lambda: reel(gradient(24), fps=12),
    "50 frames a second": lambda: reel(gradient(100), fps=50),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_read(server: RtspServer, name: str) -> None:
    url = server.mount("wall", STREAMS[name](), parse=name != "damaged units")
    found = await read(url, frames=20)
    steps = np.diff([frame.media_s for frame in found.frames])
    assert (steps > 0.15).all()
    # a picture whose first half is damaged is grey for a moment
    assert sum(bool(frame.image.std() > 20) for frame in found.frames) >= 19
    assert all(frame.captured_at.utcoffset() is not None for frame in found.frames)
    if "clock" not in name:
        assert found.frames[-1].media_s - found.frames[0].media_s == pytest.approx(3.8, abs=0.3)
    assert len(set(found.sizes)) == (2 if "size" in name else 1)
    cuts = [at for at, frame in enumerate(found.frames) if frame.cut]
    changes = [at for at in range(1, 20) if found.sizes[at] != found.sizes[at - 1]]
    assert cuts == changes


async def test_sound_beside_the_picture_is_not_asked_for(server: RtspServer) -> None:
    found = await read(server.mount("wall", PLAIN, sound=True), frames=10)
    assert set(found.sizes) == {(320, 240)}


async def test_frames_that_none_refers_to_are_not_decoded(server: RtspServer) -> None:
    found = await read(server.mount("wall", reel(gradient(50), b_frames=3)), frames=20)
    assert found.counts.decoded < 75  # of 97


async def test_key_frames_alone_are_decoded_where_they_suffice(server: RtspServer) -> None:
    url = server.mount("wall", reel(gradient(50), key_every=10))
    found = await read(url, frames=12, sample_fps=2)
    assert found.counts.decoded < 100  # of 150; from the fifth key frame on one of ten
