"""Names to addresses, where a name server that hangs holds up nobody for long.

A look-up cannot be cut off, it ends when the machine's resolver gives up. So each has a thread of
its own that nobody waits for longer than he wants to, and whoever asks for the same name meanwhile
shares it: there is never more than one for a name.
"""

import ipaddress
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from service_runtime.addresses import Address
from vision_worker.sources.failure import SourceFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One address that a name stands for, as the socket library connects to it."""

    family: socket.AddressFamily
    socket_address: tuple[Any, ...]

    @property
    def address(self) -> Address:
        """Return the address that is judged."""
        return ipaddress.ip_address(str(self.socket_address[0]))

    def at(self, port: int) -> tuple[Any, ...]:
        """Return the same with a port."""
        return (self.socket_address[0], port, *self.socket_address[2:])


class Names:
    """The machine's own resolver."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[tuple[Place, ...]]] = {}

    def places(self, host: str, *, within_s: float) -> tuple[Place, ...]:
        """Return every address of a name; blocks.

        Raises:
            SourceFailure: there is none, or it could not be told in time.
        """
        with self._lock:
            running = self._running.get(host)
            if running is None:
                running = self._running[host] = Future()
                threading.Thread(
                    target=self._look_up, args=(host, running), name="camera-dns", daemon=True
                ).start()
        try:
            return running.result(timeout=within_s)
        except (OSError, UnicodeError):  # a TimeoutError is one of the first
            raise SourceFailure("dns") from None

    def _look_up(self, host: str, result: "Future[tuple[Place, ...]]") -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            places = {
                answer[4]: Place(family=answer[0], socket_address=answer[4]) for answer in found
            }
        except (OSError, UnicodeError) as error:
            self._forget(host)
            result.set_exception(error)
        else:
            self._forget(host)
            result.set_result(tuple(places.values()))

    def _forget(self, host: str) -> None:
        with self._lock:
            del self._running[host]
