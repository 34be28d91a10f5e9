"""A receiver of webhooks on loopback, which answers what a test tells it to.

async with receiving() as receiver:
    receiver.answer(500, retry_after="7")
    post = await receiver.next()
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request as it arrived."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Receiver:
    """What the receiver was sent, and how it answers."""

    scheme: str = "http"
    port: int = 0
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    server_name: str | None = None
    posts: "asyncio.Queue[Post]" = field(default_factory=asyncio.Queue)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    _answer: bytes = b""

    def __post_init__(self) -> None:
        self.answering.set()
        self.answer(204)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def answer(self, status: int, *, body: bytes = b"", **headers: str) -> None:
        """Answer this from now on; ``retry_after`` is the header of that name."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.answer_raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def answer_raw(self, data: bytes) -> None:
        self._answer = data

    def hang(self) -> None:
        """Read requests and answer nothing until ``answering`` is set."""
        self.answering.clear()

    async def next(self) -> Post:
        """Wait for the next request; fails loudly instead of waiting for ever."""
        async with asyncio.timeout(20):
            return await self.posts.get()

    async def until_open(self, count: int) -> None:
        """Wait until so many connections are open at once."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: self.open_now == count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self._count(1)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            await self._count(-1)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(1) != b"P":
            return  # no POST: somebody speaks TLS to a receiver that does not
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.partition(":") for line in head[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.posts.put_nowait(Post(target=head[0].split()[1], headers=headers, body=body))
        # a sender that leaves ends the wait too
        left = asyncio.ensure_future(reader.read(1))
        answering = asyncio.ensure_future(self.answering.wait())
        await asyncio.wait({left, answering}, return_when=asyncio.FIRST_COMPLETED)
        answering.cancel()
        if not left.done():
            writer.write(self._answer)
            await writer.drain()
        left.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await left

    async def _count(self, change: int) -> None:
        async with self.changed:
            self.open_now += change
            self.most_open = max(self.most_open, self.open_now)
            self.changed.notify_all()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Receive on a free port of this machine until the block ends."""
    receiver = Receiver(scheme="http" if tls is None else "https")
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: setattr(receiver, "server_name", name)
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.answering.set()
        server.close()
        with contextlib.suppress(TimeoutError):
            await receiver.until_open(0)
