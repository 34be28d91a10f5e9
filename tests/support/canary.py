"""A listener of tests that nobody may connect to."""

import socket


class Canary:
    """A listener that nobody may connect to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = int(self._listener.getsockname()[1])
        self._datagrams.bind(("127.0.0.1", self.port))
        self._listener.setblocking(False)
        self._datagrams.setblocking(False)

    def heard(self) -> bool:
        """Tell whether anybody connected, or sent a datagram."""
        for ask in (self._listener.accept, lambda: self._datagrams.recv(1)):
            try:
                ask()
            except BlockingIOError:
                continue
            return True
        return False

    def close(self) -> None:
        self._listener.close()
        self._datagrams.close()
