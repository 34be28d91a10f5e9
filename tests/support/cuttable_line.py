"""A line between two programs that somebody can cut: a relay between unix sockets."""

import asyncio
import contextlib
from pathlib import Path


class CuttableLine:
    """Relays ``path`` to a target; ``cut`` ends all at once, as if the other end had died."""

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target.removeprefix("unix:")
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"unix:{self._path}"

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_unix_server(self._relay, self._path)

    async def cut(self) -> None:
        """End all connections, in the middle of whatever they carry, and refuse new ones."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._relays, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        both = [writer]
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            both.append(far_writer)
            self._writers.update(both)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer))
                group.create_task(_pump(far_reader, writer))
        finally:
            for one in both:
                self._writers.discard(one)
                one.close()
            self._relays.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
