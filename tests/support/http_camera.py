"""A camera of HTTP on loopback for tests: it answers by a script and keeps what it heard."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """What the camera was asked: the path with its query, and all of the head."""

    target: str
    head: str

    @property
    def authorization(self) -> str:
        found = re.search(r"(?mi)^authorization: (.*?)\r?$", self.head)
        return found[1] if found else ""


Script = Callable[[HttpRequest], bytes | None]


def answer(
    status: str = "200 OK", media_type: str = "", body: bytes = b"", headers: str = ""
) -> bytes:
    """Return an answer with its length; every header line ends itself with a line break."""
    told = f"Content-Type: {media_type}\r\n" if media_type else ""
    head = f"HTTP/1.1 {status}\r\n{told}{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class HttpCamera:
    """Answers everybody; None of the script says nothing and waits until the other side leaves."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[HttpRequest] = []
        self.handshakes_failed = 0
        self.drip_byte = b"x"
        self.drip: threading.Event | None = None  # a byte now and then, until it is set
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def start(self) -> "HttpCamera":
        self._threads[0].start()
        return self

    def rest(self) -> None:
        """Wait for everybody to have left."""
        for thread in self._threads[1:]:
            thread.join(10)

    def close(self) -> None:
        """End everything at once."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        self._open.add(peer)
        line = peer
        try:
            if self._tls is not None:
                line = self._tls.wrap_socket(peer, server_side=True)
                self._open.add(line)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = line.recv(65536)
                if not data:
                    return
                head += data
            text = head.decode()
            request = HttpRequest(target=text.split(" ")[1], head=text)
            self.requests.append(request)
            told = self._script(request)
            if told is not None:
                line.sendall(told)
            if told is not None and self.drip is None:
                socket.socket.shutdown(line, socket.SHUT_WR)
            while told is not None and self.drip is not None and not self.drip.wait(0.02):
                line.sendall(self.drip_byte)
            while line.recv(65536):
                pass
        except OSError:
            self.handshakes_failed += line is peer and self._tls is not None
        finally:
            self._open -= {peer, line}
            line.close()
            peer.close()
