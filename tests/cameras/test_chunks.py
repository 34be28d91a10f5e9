"""Cameras of a real RTSP server, read in chunks as where a GPU decodes; libav takes its place."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service_runtime.secret import Secret
from tests.cameras.gstreamer import RtspServer
from tests.cameras.test_streams import STREAMS
from tests.support.batch_decoders import LibavBatches
from tests.support.watching import loopback_sources
from vision_worker.decode.batches.batch_thread import BatchThread
from vision_worker.decode.batches.choice import BatchReaders
from vision_worker.decode.frame import Frame
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings
from vision_worker.decode.thread_clock import SystemThreadClock

_FRAMES = 20
_BY_LIBAV = {
    "mjpeg",
    "a key frame a second, moved along by intra refresh",
    "no key frame for a minute",
}
_STREAMS = [  # of those that libav is tried with
    "h264",
    "h265",
    "B-frames",
    "a new size in the middle",
    "a clock that jumps an hour ahead",
    "damaged units",
    *sorted(_BY_LIBAV),
]


@pytest.fixture
def decoder() -> LibavBatches:
    return LibavBatches()


@pytest.fixture
def batches(decoder: LibavBatches) -> Iterator[BatchThread]:
    thread = BatchThread(decoder, lambda _working: ())
    thread.start()
    yield thread
    thread.close()


@pytest.mark.parametrize("name", _STREAMS)
async def test_a_stream_is_read(
    server: RtspServer, batches: BatchThread, decoder: LibavBatches, name: str
) -> None:
    url = server.mount("wall", STREAMS[name](), parse=name != "damaged units")
    source = loopback_sources(Path("/nonexistent")).source_for(Secret(url))
    handed = NewestFrames(asyncio.get_running_loop())
    reader = BatchReaders(batches)(source, handed, DecodeSettings(), SystemThreadClock())
    reader.start()
    found: list[Frame] = []
    try:
        async with asyncio.timeout(40):
            async for frame in handed:
                found.append(frame)
                if len(found) == _FRAMES:
                    break
    finally:
        reader.stop()
        assert await asyncio.to_thread(reader.join, 10)
    steps = np.diff([frame.media_s for frame in found])
    assert (steps > 0.15).all()
    assert sum(bool(frame.image.std() > 20) for frame in found) >= _FRAMES - 1
    sizes = [frame.picture.size for frame in found]
    assert len(set(sizes)) == (2 if "size" in name else 1)
    changed = [at for at in range(1, _FRAMES) if sizes[at] != sizes[at - 1]]
    cuts = [at for at, frame in enumerate(found) if frame.cut]
    by_libav = reader.decoder == "pyav"
    assert by_libav == (name in _BY_LIBAV) == bool(reader.decoder_reason)
    assert set(changed) <= set(cuts)
    assert len(cuts) <= len(changed) + by_libav
    assert bool(sum(decoder.sizes)) == (name not in {"mjpeg", "no key frame for a minute"})
