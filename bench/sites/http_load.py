"""Closed-loop load over HTTP/1.1 with as little of this process's time as Python allows.

Each connection stays open and sends its next request when the answer to the last is complete; the
requests are bytes that were made before. So the same load can be put on two services on the machine
that they share with it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

_END_OF_HEADERS = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(slots=True, kw_only=True)
class Load:
    """What came of it."""

    latencies_s: list[float] = field(default_factory=list)
    took_s: float = 0


async def send_for(
    host: str, port: int, requests: Sequence[Callable[[int], bytes]], seconds: float
) -> Load:
    """Send for a time, a connection for each maker of requests, and return the latencies.

    Raises:
        RuntimeError: An answer was no 200; the text is its first line.
    """
    load = Load()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    until = started + seconds
    clients: list[_Client] = []
    for request in requests:
        _, client = await loop.create_connection(
            lambda request=request: _Client(request, until, load),  # type: ignore[misc]  # mypy knows no defaults of lambdas
            host,
            port,
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    load.took_s = time.perf_counter() - started
    return load


class _Client(asyncio.Protocol):
    def __init__(self, request: Callable[[int], bytes], until: float, load: Load) -> None:
        self._request = request
        self._until = until
        self._load = load
        self._sent = 0
        self._sent_at = 0.0
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        headers, end, body = self._buffer.partition(_END_OF_HEADERS)
        if not end:
            return
        lowered = headers.lower()
        at = lowered.find(_LENGTH)
        length = int(lowered[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._buffer = b""
        now = time.perf_counter()
        if not headers.startswith(b"HTTP/1.1 200"):
            self._end(RuntimeError(f"{headers.splitlines()[0]!r} {body[:300]!r}"))
            return
        self._load.latencies_s.append(now - self._sent_at)
        if now < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or RuntimeError("the connection was closed before its answer"))

    def _send(self) -> None:
        self._sent += 1
        self._sent_at = time.perf_counter()
        self._transport.write(self._request(self._sent))

    def _end(self, error: Exception | None) -> None:
        if self.done.done():
            return
        self._transport.close()
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


def post(path: str, body: bytes, *, token: str | None = None) -> bytes:
    """Return the bytes of a POST with a JSON body."""
    authorization = f"authorization: Bearer {token}\r\n" if token else ""
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
