"""What libav is held to, whatever a source holds: known codecs, pictures of a size, short probing.

libav decodes already while it looks what a source is, so that the limits are given to its probing
(``OPTIONS``, ``STREAM_OPTIONS``) and to the decoder itself (`decode/reader.py`); among the options
of a container it would ignore the size of a picture.
"""

from typing import Final, cast

CODECS: Final = frozenset(
    {"h264", "hevc", "mjpeg", "mpeg4", "mpeg2video", "vp8", "vp9", "av1", "rawvideo"}
)
MAX_PIXELS: Final = 16_777_216
_PROBED_BYTES: Final = 1_000_000
_PROBED_US: Final = 2_000_000
_MOST_STREAMS: Final = 16

OPTIONS: Final = {
    # by the names of decoders, which are those of their codecs but for one
    "codec_whitelist": ",".join(sorted(CODECS | {"libdav1d"})),
    "probesize": str(_PROBED_BYTES),
    "analyzeduration": str(_PROBED_US),
    "max_streams": str(_MOST_STREAMS),
}
# PyAV takes dictionaries, whatever its stubs say
STREAM_OPTIONS: Final = cast(list[str], [{"max_pixels": str(MAX_PIXELS)}] * _MOST_STREAMS)
