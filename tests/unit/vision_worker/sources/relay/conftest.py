"""Cameras by script, and a canary that must hear nothing."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from service_runtime.secret import Secret
from tests.support.clips import moving_pattern
from tests.support.rtsp_camera import PASSWORD, USER, RtspCamera, Script, h264
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings, FrameReader
from vision_worker.decode.thread_clock import SystemThreadClock
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.opening import OpenedSource, Sources
from vision_worker.sources.policy import SourcePolicy, SourceTimes, camera_addresses

IMPATIENT = SourceTimes(open_s=0.2)
SHORT = SourceTimes(stall_s=0.8)
USUAL = SourceTimes()


@pytest.fixture(scope="session")
def units() -> list[list[bytes]]:
    """Return 40 encoded pictures; their reds tell their numbers."""
    return h264(moving_pattern(40, (320, 240)))


Cameras = Callable[..., RtspCamera]


@pytest.fixture
def cameras() -> Iterator[Cameras]:
    """Return a starter of cameras."""
    started: list[RtspCamera] = []

    def start(script: Script, **options: object) -> RtspCamera:
        started.append(RtspCamera(script, **options).start())  # type: ignore[arg-type]  # one option
        return started[-1]

    yield start
    for camera in started:
        camera.close()


def policy(times: SourceTimes = USUAL, **more: object) -> SourcePolicy:
    return SourcePolicy(
        media_root=Path("/nowhere"),
        addresses=camera_addresses("127.0.0.0/8"),
        times=times,
        **more,  # type: ignore[arg-type]  # the names of its fields
    )


def open_camera(
    port: int,
    rules: SourcePolicy | None = None,
    *,
    scheme: str = "rtsp",
    host: str = "127.0.0.1",
    rest: str = "/live?x=1",
) -> OpenedSource:
    address = f"{scheme}://{USER}:{PASSWORD}@{host}:{port}{rest}"
    return Sources(rules or policy()).source_for(Secret(address)).open()


@dataclass(frozen=True)
class Reopened:
    """A live camera: opened by a function."""

    opening: Callable[[], OpenedSource]
    loops: bool = False
    live: bool = True

    def open(self) -> OpenedSource:
        return self.opening()


@dataclass(kw_only=True)
class Decoded:
    sizes: list[tuple[int, int]] = field(default_factory=list)
    failure: SourceFailure | None = None
    damaged: int = 0
    stopped_within_s: float = 0.0


async def decoded(opened: Callable[[], OpenedSource], *, until: int | None = None) -> Decoded:
    """Read a camera with the decoding thread to its failure, or until so many frames."""
    frames = NewestFrames(asyncio.get_running_loop(), capacity=1000)
    settings = DecodeSettings(sample_fps=1000.0)
    reader = FrameReader(Reopened(opened), frames, settings, SystemThreadClock())
    seen = Decoded()
    reader.start()
    try:
        async for frame in frames:
            seen.sizes.append(frame.picture.size)
            if len(seen.sizes) == until:
                break
    except SourceFailure as failure:
        seen.failure = failure
    began = time.monotonic()
    reader.stop()
    assert await asyncio.to_thread(reader.join, 10)
    seen.stopped_within_s = time.monotonic() - began
    seen.damaged = reader.counts.damaged
    return seen


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No test of this folder may have anybody print the password."""
    yield
    told = capfd.readouterr()
    assert PASSWORD not in told.out + told.err


@dataclass(kw_only=True)
class Watched:
    numbers: list[int] = field(default_factory=list)
    failure: SourceFailure | None = None


def watch(opened: OpenedSource) -> Watched:
    """Decode until the end, and return which pictures were seen."""
    seen = Watched()
    with closing(opened):
        for packet in opened.packets(opened.container.streams.video[0]):
            seen.numbers += [
                round((float(np.mean(frame.to_ndarray(format="rgb24")[:, :, 0])) - 10) / 2)
                for frame in packet.decode()
            ]
        seen.failure = opened.failure
    return seen
