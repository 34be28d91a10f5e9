"""Chunks of a camera's packets: each decodable alone, its pictures in order, nothing lost."""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.stream import VideoStream

from tests.support.clips import moving_pattern, write_clip
from vision_worker.decode.batches.chunk_check import ChunkCheck
from vision_worker.decode.batches.chunks import (
    Arrival,
    Chunk,
    ChunkCollector,
    ChunksTooLong,
    UnusableChunk,
    own_packets,
    pack_chunk,
    shown,
)

_START = datetime(2026, 1, 1, tzinfo=UTC)


def _arrivals(packets: "Iterator[Packet[VideoStream]]", fps: int = 25) -> Iterator[Arrival]:
    for number, packet in enumerate(packets):
        if packet.size:
            yield Arrival(packet=packet, at=_START + timedelta(seconds=number / fps))


def _collected(path: Path) -> tuple[VideoStream, list[Sequence[Arrival]]]:
    container = av.open(str(path))
    stream = container.streams.video[0]
    collector = ChunkCollector()
    found = [collector.add(arrival) for arrival in _arrivals(container.demux(stream))]
    return stream, [*[one for one in found if one], collector.rest()]


def _numbers(chunk: Chunk) -> list[int]:
    """Return which picture of the pattern each picture of a chunk shows."""
    with av.open(io.BytesIO(chunk.data), "r") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [round((float(frame[:, :, 0].mean()) - 10) / 2) for frame in frames]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.mp4", None),
        ("reordered.mp4", {"bf": "3", "preset": "veryfast", "sc_threshold": "0", "crf": "4"}),
        ("annex-b.ts", None),
    ],
)
def test_every_chunk_decodes_alone_and_together_they_are_the_stream(
    tmp_path: Path, name: str, options: dict[str, str] | None
) -> None:
    clip = write_clip(tmp_path / name, moving_pattern(60), key_every=20, options=options)
    stream, groups = _collected(clip)
    check = ChunkCheck(stream)
    numbers: list[int] = []
    stamps: list[float] = []
    for group in groups:
        own = own_packets(group)
        check.require_decodable(own[0].packet)
        stamps += [one.stamp_s for one in shown(own) if one.stamp_s is not None]
        chunk = pack_chunk(stream, own)
        assert chunk.pictures == 20
        numbers += _numbers(chunk)
    assert numbers == pytest.approx(list(range(60)), abs=1)
    assert np.diff(stamps) == pytest.approx(1 / 25, abs=1e-3)


def test_pictures_shown_before_the_key_frame_are_left_out(tmp_path: Path) -> None:
    """Of an open group of pictures the leading ones refer to the chunk before."""
    clip = write_clip(
        tmp_path / "open.mp4",
        moving_pattern(60),
        key_every=20,
        options={"preset": "veryfast", "x264-params": "open-gop=1:scenecut=0:b-adapt=0:bframes=2"},
    )
    stream, groups = _collected(clip)
    leading = [len(group) - len(own_packets(group)) for group in groups]
    assert leading[0] == 0
    assert sum(leading) > 0, "the clip has no open group: the test shows nothing"
    for group in groups[1:]:
        own = own_packets(group)
        times = [one.stamp_s for one in shown(own)]
        assert times[0] == pytest.approx(_key_time(group))
        chunk = pack_chunk(stream, own)
        assert len(_numbers(chunk)) == chunk.pictures == len(own)


def _key_time(group: Sequence[Arrival]) -> float:
    key = group[0].packet
    assert key.pts is not None
    assert key.time_base is not None
    return float(key.pts * key.time_base)


def test_nothing_is_collected_before_the_first_key_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(30), key_every=10)
    with av.open(str(clip)) as container:
        arrivals = list(_arrivals(container.demux(video=0)))
        collector = ChunkCollector()
        found = [collector.add(arrival) for arrival in arrivals[3:]]
        assert [len(one) for one in found if one] == [10]
        assert len(collector.rest()) == 10


def test_key_frames_too_far_apart_are_told(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "long.mp4", moving_pattern(30), fps=5, key_every=100)
    with av.open(str(clip)) as container:
        collector = ChunkCollector()
        with pytest.raises(ChunksTooLong):
            for arrival in _arrivals(container.demux(video=0), fps=5):
                collector.add(arrival)


def test_a_chunk_without_its_key_frame_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(12), key_every=12)
    _, (group,) = _collected(clip)
    with pytest.raises(UnusableChunk, match="key frame"):
        own_packets(group[1:])
    with pytest.raises(UnusableChunk, match="key frame"):
        own_packets([])


def test_a_damaged_key_frame_is_found_before_a_gpu_sees_it(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(12), key_every=12)
    stream, (group,) = _collected(clip)
    damaged = cast("Packet[VideoStream]", Packet(b"\x00\x00\x00\x05hello"))
    with pytest.raises(UnusableChunk):
        ChunkCheck(stream).require_decodable(damaged)
    ChunkCheck(stream).require_decodable(group[0].packet)


def test_a_picture_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "clip.ts", moving_pattern(12), key_every=12)
    stream, (group,) = _collected(clip)
    monkeypatch.setattr("vision_worker.decode.batches.chunk_check.MAX_PIXELS", 96 * 64 - 1)
    with pytest.raises(UnusableChunk, match="limits"):
        ChunkCheck(stream).require_decodable(group[0].packet)


def test_parameter_sets_are_tried_once_and_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "clip.ts", moving_pattern(24), key_every=12)
    larger = write_clip(tmp_path / "larger.ts", moving_pattern(12, size=(192, 128)), key_every=12)
    stream, groups = _collected(clip)
    _, (other,) = _collected(larger)
    check = ChunkCheck(stream)
    check.require_decodable(groups[0][0].packet)
    monkeypatch.setattr("vision_worker.decode.batches.chunk_check.MAX_PIXELS", 1)
    check.require_decodable(groups[1][0].packet)  # as before: not tried again
    with pytest.raises(UnusableChunk):
        check.require_decodable(other[0].packet)
