"""Reads playlists of HLS (RFC 8216), and refuses what leads elsewhere. Pure.

Only what a camera needs is read: variants, segments, their beginning, and the end. Every address
must be at the camera's own scheme, host and port; encrypted segments and parts of files are
refused, since nothing here could check them. `hls_stream.py` fetches what is left.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from vision_worker.sources.failure import SourceFailure

MOST_BYTES: Final = 1 << 20
_MOST_SEGMENTS: Final = 20_000
_LONGEST_TARGET_S: Final = 60.0
_URI: Final = re.compile(r"[!-\[\]-~]{1,2048}", re.ASCII)  # no backslash
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_ATTRIBUTE: Final = re.compile(r'([A-Z0-9\-]+)=("[^"]*"|[^",]*)', re.ASCII)
_REFUSED: Final = ("#EXT-X-BYTERANGE", "#EXT-X-DEFINE", "#EXT-X-SKIP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One piece of media.

    Attributes:
        number: its media sequence number.
        target: path and query at the camera.
        beginning: path and query of what has to be read before it, for fragmented MP4.
    """

    number: int
    target: str
    beginning: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """A list of segments."""

    target_s: float
    segments: tuple[Segment, ...]
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterPlaylist:
    """A list of playlists, of which the best one is watched: path and query."""

    best: str


def parse_playlist(body: bytes, *, url: str) -> MediaPlaylist | MasterPlaylist:
    """Return what a playlist says.

    Args:
        body: the playlist.
        url: its own address, without credentials.

    Raises:
        SourceFailure: it is no playlist, or it leads elsewhere.
    """
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line]
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise SourceFailure("not_a_stream")
    if any(line.startswith(_REFUSED) for line in lines):
        raise SourceFailure("not_a_stream", "The camera's playlist is of a kind not supported.")
    if any(line.startswith("#EXT-X-STREAM-INF:") for line in lines):
        return _master(lines, url)
    return _media(lines, url)


def _master(lines: list[str], url: str) -> MasterPlaylist:
    best: tuple[int, str] | None = None
    bandwidth: int | None = None
    for line in lines:
        if line.startswith("#EXT-X-STREAM-INF:"):
            bandwidth = _number(_attributes(line).get("BANDWIDTH", "0"))
        elif not line.startswith("#") and bandwidth is not None:
            target = _own(line, url)
            if best is None or bandwidth > best[0]:
                best = (bandwidth, target)
            bandwidth = None
    if best is None:
        raise SourceFailure("not_a_stream")
    return MasterPlaylist(best=best[1])


def _media(lines: list[str], url: str) -> MediaPlaylist:
    target_s, number, beginning = 0.0, 0, None
    segments: list[Segment] = []
    for line in lines:
        name, _, value = line.partition(":")
        if name == "#EXT-X-TARGETDURATION":
            target_s = float(_number(value))
        elif name == "#EXT-X-MEDIA-SEQUENCE" and not segments:
            number = _number(value)
        elif name == "#EXT-X-KEY" and _attributes(line).get("METHOD") != "NONE":
            raise SourceFailure("not_a_stream", "The camera's playlist is encrypted.")
        elif name == "#EXT-X-MAP":
            attributes = _attributes(line)
            if "BYTERANGE" in attributes or "URI" not in attributes:
                raise SourceFailure("not_a_stream")
            beginning = _own(attributes["URI"], url)
        elif not line.startswith("#"):
            segments.append(Segment(number=number, target=_own(line, url), beginning=beginning))
            number += 1
    if not 0 < target_s <= _LONGEST_TARGET_S or len(segments) > _MOST_SEGMENTS:
        raise SourceFailure("not_a_stream")
    return MediaPlaylist(
        target_s=target_s, segments=tuple(segments), ended="#EXT-X-ENDLIST" in lines
    )


def _own(uri: str, url: str) -> str:
    """Return path and query of an address at the playlist's own scheme, host and port."""
    if not _URI.fullmatch(uri):
        raise SourceFailure("not_a_stream")
    try:
        joined, own = urlsplit(urljoin(url, uri)), urlsplit(url)
        elsewhere = (joined.scheme, joined.netloc) != (own.scheme, own.netloc)
    except ValueError:
        raise SourceFailure("not_a_stream") from None
    if elsewhere:
        raise SourceFailure(
            "forbidden_address", "The camera's playlist leads elsewhere, which is not followed."
        )
    return (joined.path or "/") + (f"?{joined.query}" if joined.query else "")


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise SourceFailure("not_a_stream")
    return int(text)
