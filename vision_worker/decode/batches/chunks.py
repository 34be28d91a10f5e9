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
from fractions import Fraction

import av
from av.packet import Packet
from av.video.stream import VideoStream

LONGEST_CHUNK_S = 4.0
"""Key frames farther apart cost more delay than chunks are worth."""
_MOST_PACKETS = 600
_MOST_BYTES = 48 * 1024 * 1024
_CONTAINER = "mp4"
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


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
        pictures: how many it holds.
    """

    data: bytes
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """When a picture of a chunk is shown, and when it came.

    Attributes:
        stamp_s: presentation time in seconds of the stream; None where the stream has none.
        at: wall-clock time in UTC.
    """

    stamp_s: float | None
    at: datetime


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
            # when they came, and not what the camera's clock says
            (arrival.at - self._arrivals[0].at).total_seconds() > LONGEST_CHUNK_S
            or len(self._arrivals) > _MOST_PACKETS
            or self._bytes > _MOST_BYTES
        ):
            raise ChunksTooLong("Key frames are too far apart for decoding in chunks.")
        return complete

    def rest(self) -> Sequence[Arrival]:
        """Return what was collected, and begin anew."""
        complete, self._arrivals, self._bytes = self._arrivals, [], 0
        return complete


def own_packets(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Leave out the pictures that are shown before the key frame: they refer to the chunk before.

    Raises:
        UnusableChunk: it does not begin with a key frame.
    """
    if not arrivals or not arrivals[0].packet.is_keyframe:
        raise UnusableChunk("the chunk does not begin with a key frame")
    first = arrivals[0].packet.pts
    if first is None:
        return list(arrivals)
    return [one for one in arrivals if one.packet.pts is None or one.packet.pts >= first]


def shown(arrivals: Sequence[Arrival]) -> list[Shown]:
    """Return when the pictures of these packets are shown, in that order."""
    order = sorted(range(len(arrivals)), key=lambda at: _presented(arrivals[at].packet, at))
    times = []
    for at in order:
        packet = arrivals[at].packet
        stamp_s = seconds(packet.pts, packet.time_base)
        times.append(Shown(stamp_s=stamp_s, at=arrivals[at].at))
    return times


def pack_chunk(stream: VideoStream, arrivals: Sequence[Arrival]) -> Chunk:
    """Pack packets from a key frame on into a video of their own, which takes them over.

    Raises:
        UnusableChunk: they cannot be packed.
    """
    return Chunk(data=_pack(stream, arrivals), pictures=len(arrivals))


def seconds(ticks: int | None, base: Fraction | None) -> float | None:
    """Return a time in seconds, if it is known."""
    return None if ticks is None or base is None else float(ticks * base)


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
