"""HTTP as bytes, for what no proper client would send: HTTP/1.1 as text, HTTP/2 as frames.

Of HTTP/2 there is only what an attack needs: frames, and headers that are written out or point into
the table (RFC 9113, RFC 7541). Answers to HTTP/2 are not read as messages.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 2, 3, 4, 6, 8
CONTINUATION = 9
END_STREAM, END_HEADERS = 1, 4
_READ_WITHIN_S = 10.0
_SILENT_S = 2.0
_METHODS = {"GET": b"\x82", "POST": b"\x83"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """An answer of HTTP/1.1."""

    status: int
    head: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextlib.asynccontextmanager
async def connections(
    host: str, port: int, count: int
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Open connections, and hang up at the end of the block."""
    opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        for _ in range(count):
            opened += [await asyncio.open_connection(host, port)]
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def answers(host: str, port: int, *parts: bytes) -> list[RawAnswer]:
    """Send bytes as they are, and return all answers until the other side hangs up or is silent."""
    found: list[RawAnswer] = []
    async with connections(host, port, 1) as ((reader, writer),):
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            for part in parts:
                writer.write(part)
                await writer.drain()
            while True:
                async with asyncio.timeout(_SILENT_S):
                    found.append(await read_answer(reader))
    return found


async def answer(host: str, port: int, *parts: bytes) -> RawAnswer:
    """Send bytes as they are, and return the first answer.

    Raises:
        TimeoutError: None came.
        ConnectionError: The other side hung up.
    """
    async with connections(host, port, 1) as ((reader, writer),):
        with contextlib.suppress(ConnectionError):  # what was answered may be there all the same
            for part in parts:
                writer.write(part)
                await writer.drain()
        async with asyncio.timeout(_READ_WITHIN_S):
            try:
                return await read_answer(reader)
            except asyncio.IncompleteReadError:
                raise ConnectionResetError("no answer") from None


async def read_answer(reader: asyncio.StreamReader) -> RawAnswer:
    """Read an answer that says how long it is.

    Raises:
        asyncio.IncompleteReadError: The other side hung up.
        ConnectionError: The connection broke.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = 0
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    body = await reader.readexactly(length)
    return RawAnswer(status=int(head.split(" ", 2)[1]), head=head, body=body)


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return a frame of HTTP/2."""
    return (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    )


def head(verb: str, path: str, extra: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the header block of a request, nothing of it kept in the table."""
    block = _METHODS[verb] + b"\x86" + b"\x04" + _text(path) + b"\x01" + _text("dfip")
    return block + b"".join(b"\x00" + _text(name) + _text(value) for name, value in extra)


def kept(name: str, value: str) -> bytes:
    """Return a header that the other side keeps in its table; the byte 0xbe names the last one."""
    return b"\x40" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    data = text.encode()
    return _number(len(data), 7) + data


def _number(value: int, bits: int) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes((value,))
    found = bytearray((most,))
    value -= most
    while value >= 128:
        found.append(value % 128 + 128)
        value //= 128
    found.append(value)
    return bytes(found)
