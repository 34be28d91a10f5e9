"""Messages of RTSP 1.0 (RFC 2326) and the media between them, out of a stream of bytes.

Pure, and used for both sides: the camera's answers and libav's requests. Everything is bounded;
whatever is neither a message nor media is an error, so that a camera that speaks something else is
found out by its first line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MOST_HEAD: Final = 64 * 1024
MOST_BODY: Final = 64 * 1024
_FRAME_HEAD: Final = 4
_DOLLAR: Final = 0x24
_RTP_VERSION: Final = 0x80  # the two highest bits (RFC 3550)
_NOBODYS: Final = -2
SHORTEST_PACKET: Final = 12
SHORTEST_REPORT: Final = 8
_STATUS: Final = re.compile(rb"RTSP/1\.\d +(\d{3})(?: .*)?")
_REQUEST: Final = re.compile(rb"([A-Z_]{3,32}) +(\S{1,4096}) +RTSP/1\.\d")
_BEGINNING: Final = re.compile(rb"(?:RTSP/1\.|[A-Z_]{3,32} )")


class NotRtsp(Exception):
    """The bytes are no RTSP, or more than is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An answer, or a request.

    Attributes:
        status: of an answer; 0 for a request.
        method: of a request.
        uri: of a request.
        headers: names in lower case; what came twice is here twice.
    """

    status: int = 0
    method: str = ""
    uri: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return the first header of a name, given in lower case; nothing where there is none."""
        return next((value for one, value in self.headers if one == name), "")

    def all(self, name: str) -> list[str]:
        """Return all headers of a name."""
        return [value for one, value in self.headers if one == name]


class RtspInput:
    """Collects bytes and takes them apart."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._waiting += data

    def media(self, channels: tuple[int, int]) -> tuple[bytes, int] | None:
        """Return all whole media at the front, framed as it came, and how much of it is pictures.

        None where no whole one is there.

        Args:
            channels: those of the picture and of its reports; media of others, and what cannot be
                RTP, are left out.
        """
        self._skip_blank_lines()
        waiting = self._waiting
        end = keep = payload = 0
        kept: list[bytes] = []
        size = len(waiting)
        while end + _FRAME_HEAD <= size and waiting[end] == _DOLLAR:
            following = end + _FRAME_HEAD + (waiting[end + 2] << 8 | waiting[end + 3])
            if following > size:
                break
            channel, length = waiting[end + 1], following - end - _FRAME_HEAD
            if length < SHORTEST_REPORT or waiting[end + _FRAME_HEAD] & 0xC0 != _RTP_VERSION:
                channel = _NOBODYS
            if channel == channels[0] and length >= SHORTEST_PACKET:
                payload += length
            elif channel != channels[1]:
                kept.append(bytes(waiting[keep:end]))
                keep = following
            end = following
        if not end:
            return None
        kept.append(bytes(waiting[keep:end]))
        del waiting[:end]
        return b"".join(kept), payload

    def _skip_blank_lines(self) -> None:
        while self._waiting.startswith((b"\r", b"\n")):
            del self._waiting[:1]

    def at_media(self) -> bool:
        """Return whether media comes next, whole or not."""
        return bool(self._waiting) and self._waiting[0] == _DOLLAR

    def message(self) -> Message | None:
        """Return the message at the front; None where it is not whole yet, or media is there.

        Raises:
            NotRtsp: neither a message nor media is at the front.
        """
        self._skip_blank_lines()
        if not self._waiting or self.at_media():
            return None
        end = _head_end(self._waiting)
        if end is None or end > MOST_HEAD:
            if len(self._waiting) > MOST_HEAD or not _may_begin(self._waiting):
                raise NotRtsp
            return None
        first, headers = _head(bytes(self._waiting[:end]))
        length = _length(headers)
        if len(self._waiting) < end + length:
            return None
        body = bytes(self._waiting[end : end + length])
        del self._waiting[: end + length]
        if status := _STATUS.fullmatch(first):
            return Message(status=int(status[1]), headers=headers, body=body)
        if request := _REQUEST.fullmatch(first):
            method, uri = (part.decode("latin-1") for part in request.groups())
            return Message(method=method, uri=uri, headers=headers, body=body)
        raise NotRtsp


def written(first: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return a message's bytes.

    Raises:
        ValueError: a part would end its line.
    """
    sized = {**headers, "Content-Length": str(len(body))} if body else headers
    lines = [first, *(f"{name}: {value}" for name, value in sized.items()), "", ""]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header must be one line")
    return "\r\n".join(lines).encode() + body


def is_rtp(packet: bytes) -> bool:
    """Return whether a packet that is not empty is one of RTP or its reports."""
    return packet[0] & 0xC0 == _RTP_VERSION


def parameters(value: str) -> Iterator[tuple[str, str]]:
    """Return the parts of a header such as ``Transport``: names in lower case, and their values."""
    for part in value.split(";"):
        name, _, text = part.strip().partition("=")
        yield name.strip().lower(), text.strip().strip('"')


def _head_end(waiting: bytearray) -> int | None:
    ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := waiting.find(mark, 0)) >= 0]
    return min(ends, default=None)


def _may_begin(waiting: bytearray) -> bool:
    first, newline, _ = bytes(waiting[:8192]).partition(b"\n")
    first = first.rstrip(b"\r")
    if newline:
        return bool(_STATUS.fullmatch(first) or _REQUEST.fullmatch(first))
    return len(first) < 8 or bool(_BEGINNING.match(first))


def _head(head: bytes) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Return a head's first line and its headers.

    Raises:
        NotRtsp: a line holds what would end it elsewhere.
    """
    first, *lines = head.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    if b"\r" in b"".join((first, *lines)):
        raise NotRtsp
    headers: list[tuple[str, str]] = []
    for line in lines:
        text = line.decode("utf-8", "replace")
        if text[:1] in (" ", "\t") and headers:  # a header that goes on
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {text.strip()}")
            continue
        name, colon, value = text.partition(":")
        if colon:
            headers.append((name.strip().lower(), value.strip()))
    return first.strip(), tuple(headers)


def _length(headers: tuple[tuple[str, str], ...]) -> int:
    text = next((value for name, value in headers if name == "content-length"), "0")
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) > MOST_BODY:
        raise NotRtsp
    return int(text)
