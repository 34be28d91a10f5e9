"""Takes what a service writes: into its log file, and warnings in one readable line to people.

One pipe lasts over all restarts of a service, because its own children may hold it open longer
than it lives.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from cli.supervisor.log_file import LogFile
from cli.supervisor.log_lines import LogLine, read_log_line

_LONGEST_LINE = 64 * 1024
_CLOSING_S = 0.5

Echo = Callable[[str, LogLine], None]
"""Called with the service's name and each warning or error that it logs."""


class ServiceLog(asyncio.Protocol):
    """The receiving end of one service's output; `open_service_log` makes it."""

    def __init__(self, name: str, file: LogFile, echo: Echo) -> None:
        self.name = name
        self.file = file
        self.write_fd = -1
        self._echo = echo
        self._rest = b""
        self._recent: deque[LogLine] = deque(maxlen=20)
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Take what came; a line longer than 64 KiB is cut into several."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        while len(self._rest) > _LONGEST_LINE:
            self._take(self._rest[:_LONGEST_LINE])
            self._rest = self._rest[_LONGEST_LINE:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Take what is left."""
        if self._rest:
            self._take(self._rest)
            self._rest = b""
        self.ended.set()

    def last_words(self) -> str:
        """Return what the service said before it died, or nothing; forget it afterwards.

        A sentence printed outside the log is the one for people, else the last error counts.
        """
        spoken = [line.text for line in self._recent if not line.structured and line.text]
        errors = [line.text for line in self._recent if line.level == "error"]
        self._recent.clear()
        return (spoken or errors or [""])[-1]

    def _take(self, raw: bytes) -> None:
        self.file.write_line(raw)
        line = read_log_line(raw.decode("utf-8", errors="replace"))
        self._recent.append(line)
        if line.level != "other":
            self._echo(self.name, line)


@asynccontextmanager
async def open_service_log(name: str, file: LogFile, echo: Echo) -> AsyncIterator[ServiceLog]:
    """Open the pipe of a service; `write_fd` is what its process gets as its output."""
    log = ServiceLog(name, file, echo)
    read_fd, log.write_fd = os.pipe()
    source = os.fdopen(read_fd, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: log, source)
    try:
        yield log
    finally:
        os.close(log.write_fd)
        with suppress(TimeoutError):  # whoever still holds the pipe shall not hold up the end
            await asyncio.wait_for(log.ended.wait(), _CLOSING_S)
        transport.close()
        file.close()
