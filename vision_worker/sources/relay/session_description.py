"""Finds the picture in a camera's session description (SDP, RFC 4566), and writes libav's own.

Pure. libav never sees what the camera wrote: of the first picture that is known here, its format
and the parameters of its codec are copied, by name, into a description without any foreign address.
"""

import re
from dataclasses import dataclass
from typing import Final

from vision_worker.sources.failure import SourceFailure

_CODECS: Final = frozenset({"H264", "H265", "JPEG", "MP4V-ES", "MPV", "VP8", "VP9", "AV1"})
_OF_STATIC_FORMATS: Final = {"26": "JPEG", "32": "MPV"}  # RFC 3551
_MEDIA: Final = re.compile(r"m=video +[0-9/]+ +RTP/AVPF? +([0-9 ]{1,200})", re.ASCII)
_RTPMAP: Final = re.compile(
    r"a=rtpmap:([0-9]{1,3}) +([A-Za-z0-9.\-]{1,32})(/[0-9/]{1,16})?", re.ASCII
)
_SHAPES: Final = re.compile(
    r"a=(?:framerate|framesize|x-dimensions|cliprect):[0-9 .,/\-]{1,64}", re.ASCII
)
_URI: Final = re.compile(r"[!-~]{1,2048}", re.ASCII)
_MOST_LINES: Final = 1000
_LONGEST_PARAMETERS: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The stream of a camera that is watched.

    Attributes:
        aggregate: the address that plays it.
        control: the address that sets it up.
        payload_type: its format's number in RTP.
        codec: its name in upper case.
        lines: what libav has to know of its format.
    """

    aggregate: str
    control: str
    payload_type: int
    codec: str
    lines: tuple[str, ...]


def picture_of(description: bytes, *, base: str) -> Picture:
    """Return the first picture of a description.

    Args:
        description: the body of the answer to DESCRIBE.
        base: what relative addresses begin with: the header ``Content-Base``, or what was asked.

    Raises:
        SourceFailure: it is no description, there is no picture, or none of a known codec.
    """
    lines = description.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")[:_MOST_LINES]
    lines = [line.strip() for line in lines]
    if not any(line.startswith("v=") for line in lines[:3]):
        raise SourceFailure("not_a_stream")
    starts = [number for number, line in enumerate(lines) if line.startswith("m=")]
    session = lines[: starts[0]] if starts else lines
    aggregate = _resolved(_control(session), base)
    sections = [
        lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]
    pictures = [section for section in sections if section[0].startswith("m=video")]
    if not pictures:
        raise SourceFailure("not_a_stream", "This stream holds no picture; check the address.")
    for section in pictures:
        found = _format(section)
        if found is not None:
            number, codec, kept = found
            return Picture(
                aggregate=aggregate,
                control=_resolved(_control(section), base),
                payload_type=int(number),
                codec=codec,
                lines=kept,
            )
    raise SourceFailure(
        "unsupported_codec", "The camera's codec is not supported; set it to H.264 or H.265."
    )


def description_for(picture: Picture, *, control: str) -> bytes:
    """Return the description of one picture for libav.

    Args:
        picture: what it describes.
        control: the address that sets it up at the relay.
    """
    lines = (
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m=video 0 RTP/AVP {picture.payload_type}",
        *picture.lines,
        f"a=control:{control}",
        "",
    )
    return "\r\n".join(lines).encode()


def _format(section: list[str]) -> tuple[str, str, tuple[str, ...]] | None:
    """Return number, codec and lines of a section's first known format."""
    media = _MEDIA.fullmatch(section[0])
    if media is None:
        return None
    maps = {found[1]: found for line in section if (found := _RTPMAP.fullmatch(line))}
    for number in media[1].split():
        named = maps.get(number)
        codec = named[2].upper() if named else _OF_STATIC_FORMATS.get(number, "")
        if codec not in _CODECS or int(number) > 127:
            continue
        parameters = [line for line in section if line.startswith(f"a=fmtp:{number} ")]
        kept = [
            *([named[0]] if named else []),
            *(line for line in parameters[:4] if _is_harmless(line)),
            *[line for line in section if _SHAPES.fullmatch(line)][:4],
        ]
        return number, codec, tuple(kept)
    return None


def _is_harmless(line: str) -> bool:
    return len(line) <= _LONGEST_PARAMETERS and all(" " <= letter <= "~" for letter in line)


def _control(section: list[str]) -> str:
    return next((line[10:].strip() for line in section if line.startswith("a=control:")), "*")


def _resolved(control: str, base: str) -> str:
    """Return an address as players do: what is relative goes behind the base, query or not."""
    if control in ("", "*"):
        resolved = base
    elif control.lower().startswith(("rtsp://", "rtsps://")):
        resolved = control
    else:
        resolved = f"{base.removesuffix('/')}/{control.removeprefix('/')}"
    if not _URI.fullmatch(resolved):
        raise SourceFailure("not_a_stream")
    return resolved
