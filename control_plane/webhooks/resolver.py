"""Names to addresses, where a name server that hangs holds up nobody else.

A look-up cannot be cut off, it ends when the machine's resolver gives up. So look-ups have threads
of their own, one for each receiver there may be, and callers that ask for the same name while it is
looked up share the answer.
"""

import asyncio
import ipaddress
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from control_plane.webhooks.model import MOST_WEBHOOKS
from service_runtime.addresses import Address


class NameUnknown(Exception):
    """The name has no address, or nobody could tell."""


class Resolver(Protocol):
    """Looks names up; tests have another one."""

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """Return every address of a name.

        Raises:
            NameUnknown: There is none.
        """
        ...


class SystemResolver:
    """The machine's own resolver."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MOST_WEBHOOKS, thread_name_prefix="webhook-dns")
        self._running: dict[str, Future[tuple[Address, ...]]] = {}

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """Return every address of a name.

        Raises:
            NameUnknown: There is none.
        """
        running = self._running.get(host)
        if running is None or running.done():
            running = self._threads.submit(_look_up, host)
            self._running = {h: f for h, f in self._running.items() if not f.done()}
            self._running[host] = running
        # shielded, so that one who stops waiting does not cancel it for the others
        return await asyncio.shield(asyncio.wrap_future(running))

    def close(self) -> None:
        """Let the threads go; look-ups that run end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NameUnknown from None
    texts = dict.fromkeys(str(address[4][0]) for address in found)
    return tuple(ipaddress.ip_address(text) for text in texts)
