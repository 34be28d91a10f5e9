"""Cuts a camera's packets into chunks that can be decoded alone: one key frame and what follows it.

A decoder on a GPU that keeps no state between calls decodes the chunks of many cameras side by
side. A chunk is a small MP4 in memory; packets are packed anew, never encoded anew, and checked
first, because one bad chunk would fail a whole batch. Pure but for libav's muxer; `chunk_reader.py`
feeds it and `batch_lane.py` has the chunks decoded.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import av
from av.packet import Packet
from av.video.stream import VideoStream

LONGEST_CHUNK_S = 4.0
"""Key frames farther apart cost more delay than chunks are worth."""
_MOST_PACKETS = 600
_MOST_BYTES = 48 * 1024 * 1024
_CONTAINER = "mp4"
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_WITH_PARAMETER_SETS = frozenset({"h264", "hevc"})


class UnusableChunk(Exception):
    """This chunk cannot be decoded alone; the sentence says why."""


class ChunksTooLong(Exception):
    """Key frames come too seldom for chunks; the stream needs a decoder that keeps its state."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """A packet and when it came.

    Attributes:
        at: wall-clock time in UTC.
    """

    packet: "Packet[VideoStream]"
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunk:
    """One key frame and what follows it, as a video of its own.

    Attributes:
        data: a fragmented MP4.
        size: width and height in pixels.
        stamps: presentation times of its pictures in seconds of the stream, in order; None where
            the stream has none.
        arrived: when each of these pictures arrived, in UTC.
    """

    data: bytes
    size: tuple[int, int]
    stamps: tuple[float | None, ...]
    arrived: tuple[datetime, ...]


class ChunkCollector:
    """Collects packets of one stream up to the next key frame."""

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []
        self._bytes = 0

    def add(self, arrival: Arrival) -> Sequence[Arrival]:
        """Take a packet; return the packets of the chunk that it ends, most often none.

        Packets before the first key frame are left out.

        Raises:
            ChunksTooLong: key frames come too seldom.
        """
        complete: Sequence[Arrival] = ()
        if arrival.packet.is_keyframe:
            complete = self.rest()
        elif not self._arrivals:
            return ()
        self._arrivals.append(arrival)
        self._bytes += arrival.packet.size
        if (
            _seconds_between(self._arrivals[0].packet, arrival.packet) > LONGEST_CHUNK_S
            or len(self._arrivals) > _MOST_PACKETS
            or self._bytes > _MOST_BYTES
        ):
            raise ChunksTooLong("Key frames are too far apart for decoding in chunks.")
        return complete

    def rest(self) -> Sequence[Arrival]:
        """Return what was collected, and begin anew."""
        complete, self._arrivals, self._bytes = self._arrivals, [], 0
        return complete


def pack_chunk(stream: VideoStream, arrivals: Sequence[Arrival]) -> Chunk:
    """Pack packets from a key frame on into a video of their own.

    Pictures that are shown before the key frame refer to the chunk before, so they are left out.
    The packets belong to the new video afterwards.

    Raises:
        UnusableChunk: it cannot be decoded alone.
    """
    context = stream.codec_context
    if not arrivals or not arrivals[0].packet.is_keyframe:
        raise UnusableChunk("the chunk does not begin with a key frame")
    if context.name in _WITH_PARAMETER_SETS and not context.extradata:
        raise UnusableChunk("the stream's parameter sets are missing")
    if min(context.width, context.height) < 1:
        raise UnusableChunk("the size of the pictures is unknown")
    kept = _shown_after_key(arrivals)
    base = arrivals[0].packet.time_base
    scale = float(base) if base is not None else None
    times = [
        arrival.packet.pts * scale if scale and arrival.packet.pts is not None else None
        for arrival in kept
    ]
    shown = sorted(range(len(kept)), key=lambda at: _presented(kept[at].packet, at))
    return Chunk(
        data=_pack(stream, kept),
        size=(context.width, context.height),
        stamps=tuple(times[at] for at in shown),
        arrived=tuple(kept[at].at for at in shown),
    )


def _shown_after_key(arrivals: Sequence[Arrival]) -> list[Arrival]:
    first = arrivals[0].packet.pts
    if first is None:
        return list(arrivals)
    return [one for one in arrivals if one.packet.pts is None or one.packet.pts >= first]


def _presented(packet: "Packet[VideoStream]", at: int) -> int:
    return packet.pts if packet.pts is not None else packet.dts if packet.dts is not None else at


def _pack(stream: VideoStream, arrivals: Sequence[Arrival]) -> bytes:
    first = arrivals[0].packet
    begin = first.dts if first.dts is not None else first.pts
    target = io.BytesIO()
    try:
        with av.open(target, "w", format=_CONTAINER, options=_FRAGMENTED) as container:
            track = container.add_stream_from_template(stream)
            last = None
            for number, arrival in enumerate(arrivals):
                packet = arrival.packet
                dts = number if packet.dts is None or begin is None else packet.dts - begin
                dts = dts if last is None else max(dts, last + 1)  # it must grow
                lead = 0 if packet.pts is None or packet.dts is None else packet.pts - packet.dts
                packet.dts, packet.pts, last = dts, dts + max(0, lead), dts
                packet.stream = track
                container.mux(packet)
    except (av.error.FFmpegError, ValueError) as error:
        raise UnusableChunk(f"the chunk cannot be packed ({type(error).__name__})") from None
    return target.getvalue()


def _seconds_between(one: "Packet[VideoStream]", other: "Packet[VideoStream]") -> float:
    first = one.dts if one.dts is not None else one.pts
    last = other.dts if other.dts is not None else other.pts
    if first is None or last is None or one.time_base is None:
        return 0.0
    return float((last - first) * one.time_base)
