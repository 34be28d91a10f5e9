"""What may answer at a camera's address without being one: plain sockets on loopback."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def silent_peer() -> AsyncIterator[int]:
    """Accept every connection and say nothing; return the port."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    async with _serving(listen) as port:
        yield port


@asynccontextmanager
async def chattering_peer(greeting: bytes = b"SSH-2.0-OpenSSH_9.2\r\n") -> AsyncIterator[int]:
    """Speak, but not RTSP, and hang up; return the port."""

    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(65536):
            writer.write(greeting)
        writer.close()

    async with _serving(chatter) as port:
        yield port


@asynccontextmanager
async def redirecting_peer(location: str, status: str = "302 Found") -> AsyncIterator[int]:
    """Send whoever asks elsewhere, in RTSP and in HTTP; return the port."""

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(65536):
            number = re.search(rb"CSeq: (\d+)", request)
            head = (
                f"RTSP/1.0 {status}\r\nCSeq: {number[1].decode()}"
                if number
                else f"HTTP/1.1 {status}"
            )
            writer.write(f"{head}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with _serving(redirect) as port:
        yield port


class Canary:
    """A place that must hear nothing."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.heard = b""


@asynccontextmanager
async def canary() -> AsyncIterator[Canary]:
    """Listen, and note whoever comes and whatever is said."""
    found = Canary()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        while data := await reader.read(65536):
            found.heard += data
            writer.write(b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n")
            writer.write(b'WWW-Authenticate: Basic realm="camera"\r\n\r\n')
        writer.close()

    async with _serving(note) as port:
        found.port = port
        yield found


def closed_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return int(gone.getsockname()[1])


@asynccontextmanager
async def _serving(answer: "asyncio.streams._ClientConnectedCallback") -> AsyncIterator[int]:
    writers: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            await answer(reader, writer)  # type: ignore[misc]
        except OSError:
            pass
        finally:
            writers.discard(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await asyncio.sleep(0)
