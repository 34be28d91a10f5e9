"""The one connection to a camera, to an address that was judged, encrypted where asked for.

The name is looked up once; every answer is judged, and one bad answer spoils all: a name that
points inside is not to be trusted. What is connected to is the very literal that was judged.
Everything has a deadline. `rtsp_camera.py` and `http_camera.py` speak over the line.
"""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service_runtime.addresses import AddressPolicy
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.relay.names import Names, Place

_CHUNK: Final = 1 << 16
_MOST_PLACES: Final = 8


class Deadline:
    """A moment until which everything has to be done."""

    def __init__(self, within_s: float) -> None:
        self._at_s = time.monotonic() + within_s

    def left_s(self) -> float:
        """Return the seconds that are left.

        Raises:
            SourceFailure: none are.
        """
        left_s = self._at_s - time.monotonic()
        if left_s <= 0:
            raise SourceFailure("timeout")
        return left_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What lines to cameras are opened with.

    Attributes:
        names: looks names up.
        addresses: where cameras may be.
        ca_file: authorities to trust in place of the machine's, as PEM.
    """

    names: Names
    addresses: AddressPolicy
    ca_file: Path | None = None

    def places(self, host: str, deadline: Deadline) -> tuple[Place, ...]:
        """Return the judged addresses of a name; blocks.

        Raises:
            SourceFailure: there are none, or one is not allowed.
        """
        places = self.names.places(host, within_s=deadline.left_s())
        if not self.addresses.allows_all(place.address for place in places):
            raise SourceFailure("forbidden_address")
        return places[:_MOST_PLACES]

    def connect(
        self,
        places: tuple[Place, ...],
        port: int,
        deadline: Deadline,
        *,
        tls_name: str | None = None,
    ) -> "CameraLine":
        """Return a line to the first of the places that answers; blocks.

        Args:
            places: what ``places`` answered.
            port: the camera's port.
            deadline: until when.
            tls_name: the name that the camera's certificate has to be for; None for no encryption.

        Raises:
            SourceFailure: none answers, or its certificate is not trusted.
        """
        failure = SourceFailure("unreachable")
        for number, place in enumerate(places):
            # one that does not answer leaves time for the next
            share_s = deadline.left_s() / (len(places) - number)
            try:
                connected = _connected(place, port, share_s)
            except SourceFailure as error:
                failure = error
                continue
            if tls_name is not None:
                connected = self._encrypted(connected, tls_name, deadline)
            return CameraLine(connected, place)
        raise failure

    def _encrypted(self, connected: socket.socket, name: str, deadline: Deadline) -> socket.socket:
        try:
            trusted = ssl.create_default_context(
                cafile=None if self.ca_file is None else str(self.ca_file)
            )
        except OSError:
            connected.close()
            raise SourceFailure(
                "tls", "The file of DFIP_CAMERA_CA_FILE cannot be used; it must be PEM."
            ) from None
        trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a camera's own certificate may do
        try:
            connected.settimeout(deadline.left_s())
            return trusted.wrap_socket(connected, server_hostname=name)
        except TimeoutError:
            connected.close()
            raise SourceFailure("timeout") from None
        except (ssl.SSLError, ValueError):
            connected.close()
            raise SourceFailure("tls") from None
        except OSError:
            connected.close()
            raise SourceFailure(
                "tls", "The camera ended the encrypted line at once; check its port."
            ) from None


class CameraLine:
    """A connected line.

    Attributes:
        socket: where ``rtsp_relay.py`` waits for it among others.
        place: the judged address that it leads to.
    """

    def __init__(self, connected: socket.socket, place: Place) -> None:
        self.socket = connected
        self.place = place

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it; blocks.

        Raises:
            SourceFailure: the camera does not take it, or is gone.
        """
        try:
            self.socket.settimeout(deadline.left_s())
            self.socket.sendall(data)
        except TimeoutError:
            raise SourceFailure("timeout") from None
        except OSError:
            raise SourceFailure("ended") from None

    def receive(self, deadline: Deadline) -> bytes:
        """Return what comes next, nothing at the end; blocks.

        Raises:
            SourceFailure: nothing comes in time, or the camera is gone.
        """
        try:
            self.socket.settimeout(deadline.left_s())
            return self.socket.recv(_CHUNK)
        except TimeoutError:
            raise SourceFailure("timeout") from None
        except OSError:
            raise SourceFailure("ended") from None

    def interrupt(self) -> None:
        """Have whoever waits for the camera wake up; from any thread."""
        with contextlib.suppress(OSError):
            # the encrypted one would forget its state, under another thread's feet
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """End it; safe to call twice."""
        with contextlib.suppress(OSError):
            self.socket.close()


def _connected(place: Place, port: int, within_s: float) -> socket.socket:
    connecting = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        connecting.settimeout(within_s)
        connecting.connect(place.at(port))
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError:
        connecting.close()
        raise SourceFailure("timeout") from None
    except ConnectionRefusedError:
        connecting.close()
        raise SourceFailure("refused") from None
    except OSError:
        connecting.close()
        raise SourceFailure("unreachable") from None
    return connecting
