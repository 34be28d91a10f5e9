"""A network between a client and a server that does what networks do.

    async with tcp_proxy(site.target) as proxy:
        channel = open_channel(proxy.target)
        proxy.black_hole()   # the connection stays open and nothing passes any more

Bytes pass in both directions, late (``latency_s``) and in slices (``slice_bytes``) where told so.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_READ = 64 << 10


class TcpProxy:
    """Relays connections to one server."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self.latency_s = 0.0
        self.slice_bytes = _READ

    @property
    def target(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return "127.0.0.1:{1}".format(*self._server.sockets[0].getsockname())

    def black_hole(self) -> None:
        """Let nothing pass from here on, in either direction, and close nothing."""
        self._passes.clear()

    def heal(self) -> None:
        """Let everything pass again, what was held back first."""
        self._passes.set()

    def reset(self) -> None:
        """Break every connection at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Break every connection and listen no more."""
        assert self._server is not None
        self._server.close()
        for relay in self._relays:
            relay.cancel()
        if self._relays:
            await asyncio.wait(self._relays)
        self.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target.startswith("unix:"):
            connecting = asyncio.open_unix_connection(self._target.removeprefix("unix:"))
        else:
            host, _, port = self._target.rpartition(":")
            connecting = asyncio.open_connection(host, int(port))
        try:
            there, back = await connecting
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            relay = asyncio.create_task(self._relay(source, sink))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(self.slice_bytes):
                await self._passes.wait()
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                sink.write(data)
                await sink.drain()
        self._writers.discard(sink)
        sink.transport.abort()


@asynccontextmanager
async def tcp_proxy(target: str) -> AsyncIterator[TcpProxy]:
    """Run a proxy before a server, ``unix:/path`` or ``host:port``, until the block ends."""
    proxy = TcpProxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
