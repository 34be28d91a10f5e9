"""Media of a camera that sends over UDP: received, ordered, and framed as it would come over TCP.

So libav reads every camera the same way. Datagrams count only from the address that was judged.
`rtsp_relay.py` waits for the sockets among others.
"""

import socket
import struct
from contextlib import suppress
from typing import Final

from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.relay.names import Place
from vision_worker.sources.relay.reordering import Reordering
from vision_worker.sources.relay.rtsp_message import SHORTEST_PACKET, SHORTEST_REPORT, is_rtp

_PAIRS_TRIED: Final = 32
_BUFFER: Final = 1 << 20
_DATAGRAM: Final = 1 << 16
_AT_ONCE: Final = 256
# an empty packet and an empty report, which open the way back through a firewall
_HELLO: Final = (b"\x80" + bytes(11), b"\x80\xc9\x00\x01" + bytes(4))


class UdpMedia:
    """Two ports of this machine: pictures, and reports on them.

    Args:
        place: the camera's judged address.
        local: address of this machine that the camera is reached from.
    """

    def __init__(self, place: Place, local: str) -> None:
        self._place = place
        self._local = local
        self._sockets: list[socket.socket] = []
        self._server: tuple[int, int] | None = None
        self._order = Reordering()

    def open(self) -> tuple[int, int]:
        """Return an even port and the next one, both bound.

        Raises:
            SourceFailure: no such pair is free.
        """
        for _ in range(_PAIRS_TRIED):
            first = socket.socket(self._place.family, socket.SOCK_DGRAM)
            second = socket.socket(self._place.family, socket.SOCK_DGRAM)
            try:
                first.bind((self._local, 0))
                port = int(first.getsockname()[1])
                if port % 2:
                    first.close()
                    first = socket.socket(self._place.family, socket.SOCK_DGRAM)
                    port -= 1
                    first.bind((self._local, port))
                second.bind((self._local, port + 1))
            except OSError:
                first.close()
                second.close()
                continue
            for one in (first, second):
                one.setblocking(False)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._sockets = [first, second]
            return port, port + 1
        raise SourceFailure("unreachable", "No two free ports for UDP; use TCP for this camera.")

    def expect(self, server_port: int | None) -> None:
        """Learn where the camera sends from, and open the way from there."""
        if server_port is None:
            return
        self._server = (server_port, server_port + 1)
        for one, port, hello in zip(self._sockets, self._server, _HELLO, strict=True):
            with suppress(OSError):
                one.sendto(hello, self._place.at(port))

    @property
    def handles(self) -> list[int]:
        """Return what to wait for."""
        return [one.fileno() for one in self._sockets]

    @property
    def due_s(self) -> float | None:
        """Return when ``receive`` has something to give, whatever comes."""
        return self._order.due_s

    def receive(self, channels: tuple[int, int], now_s: float) -> tuple[bytes, int]:
        """Return what came, framed for the channels, and how much of it is pictures."""
        pictures, reports = self._sockets
        out: list[bytes] = []
        for packet in self._datagrams(pictures):
            if len(packet) >= SHORTEST_PACKET:
                out += self._order.put(packet, now_s)
        out += self._order.overdue(now_s)
        framed = [_framed(channels[0], packet) for packet in out]
        size = sum(map(len, framed))
        framed += [_framed(channels[1], packet) for packet in self._datagrams(reports)]
        return b"".join(framed), size

    def report(self, framed: bytes) -> None:
        """Send libav's reports, framed as they came."""
        if self._server is None:
            return
        while framed:
            size = int.from_bytes(framed[2:4])
            with suppress(OSError):
                self._sockets[1].sendto(framed[4 : 4 + size], self._place.at(self._server[1]))
            framed = framed[4 + size :]

    def close(self) -> None:
        """Free the ports; safe to call twice."""
        for one in self._sockets:
            one.close()
        self._sockets = []

    def _datagrams(self, source: socket.socket) -> list[bytes]:
        found: list[bytes] = []
        with suppress(BlockingIOError, ConnectionRefusedError):
            while len(found) < _AT_ONCE:
                packet, sender = source.recvfrom(_DATAGRAM)
                if (
                    self._is_the_camera(sender)
                    and len(packet) >= SHORTEST_REPORT
                    and is_rtp(packet)
                ):
                    found.append(packet)
        return found

    def _is_the_camera(self, sender: tuple[object, ...]) -> bool:
        return sender[:1] == self._place.socket_address[:1]


def _framed(channel: int, packet: bytes) -> bytes:
    return struct.pack("!BBH", 0x24, channel, len(packet)) + packet
