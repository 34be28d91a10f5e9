"""Looks at what a camera sends before a GPU decodes it, which knows no limits of its own.

A chunk is decodable alone if its key frame is: libav tries that one picture within the limits that
all pictures have (`limits.py`). It costs the decoding of a picture, so it is done whenever a camera
shows parameter sets that it did not show before, and not for each chunk.
"""

import hashlib

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vision_worker.decode.batches.chunks import UnusableChunk
from vision_worker.sources.limits import MAX_PIXELS

_SETS = {"h264": "filter_units=pass_types=7-8", "hevc": "filter_units=pass_types=32-34"}
_MOST_SEEN = 16


class ChunkCheck:
    """Of one opened stream."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._name = stream.codec.canonical_name
        self._seen: set[bytes] = set()

    def require_decodable(self, key: "Packet[VideoStream]") -> None:
        """Check the key frame of a chunk, if its parameter sets are new; leaves the packet alone.

        Raises:
            UnusableChunk: there are none, they are damaged, or the picture is too large.
        """
        shown = self._parameter_sets(key)
        if shown in self._seen:
            return
        extradata = self._stream.codec_context.extradata
        if self._name in _SETS and not extradata:
            raise UnusableChunk("the stream's parameter sets are missing")
        context = av.CodecContext.create(self._name, "r")
        assert isinstance(context, VideoCodecContext)  # noqa: S101 - of a video stream, for mypy
        context.extradata = extradata
        context.options = {"max_pixels": str(MAX_PIXELS)}
        context.thread_count = 1
        try:
            pictures = [*context.decode(Packet(bytes(key))), *context.decode(None)]
        except (av.error.FFmpegError, MemoryError, ValueError):
            raise UnusableChunk("the key frame cannot be decoded within the limits") from None
        if not pictures:
            raise UnusableChunk("the key frame holds no picture")
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen.add(shown)

    def _parameter_sets(self, key: "Packet[VideoStream]") -> bytes:
        """Return a digest of what the packet itself carries, the same for packets without any."""
        if self._name not in _SETS:
            return b""
        try:
            only = BitStreamFilterContext(_SETS[self._name], self._stream)
            sets = b"".join(bytes(part) for part in only.filter(Packet(bytes(key))))
        except (av.error.FFmpegError, ValueError):
            raise UnusableChunk("the key frame cannot be taken apart") from None
        return hashlib.sha256(sets).digest()
