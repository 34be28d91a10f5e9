"""A camera's HTTP (RFC 9110) from this side: one judged address, credentials, no redirects.

What comes is read by Python and handed to libav as a file (`http_stream.py`), so that libav opens
no connection at all for such a camera. `h11` reads the protocol; heads are capped at 64 KiB.
"""

from dataclasses import dataclass
from typing import Final

import h11

from vision_worker.sources.address import NetworkAddress
from vision_worker.sources.failure import FailureReason, SourceFailure
from vision_worker.sources.relay.authorization import Authorization
from vision_worker.sources.relay.line import CameraLine, Deadline, Lines
from vision_worker.sources.relay.names import Place

MOST_HEAD: Final = 64 * 1024
_REASONS: Final[dict[int, FailureReason]] = {
    401: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    410: "not_found",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The head of a good answer.

    Attributes:
        media_type: of ``Content-Type``, in lower case, without its parameters.
        length: bytes of the body, where the camera told.
    """

    media_type: str
    length: int | None


class HttpCamera:
    """One camera; each request has a line of its own, one after the other, to the same address.

    Args:
        address: where the camera is, with its credentials.
        lines: opens lines to it.
    """

    def __init__(self, address: NetworkAddress, lines: Lines) -> None:
        self._address = address
        self._lines = lines
        self._authorization = Authorization(address.credentials)
        self._places: tuple[Place, ...] = ()
        self._line: CameraLine | None = None
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)

    def get(self, target: str, deadline: Deadline) -> Answer:
        """Ask for something; blocks until the head of a good answer is there.

        Raises:
            SourceFailure: there is none, or it is not good.
        """
        for attempt in range(3):
            response = self._exchange(target, deadline)
            if response.status_code != 401:
                break
            challenges = [
                value.decode("latin-1")
                for name, value in response.headers
                if name == b"www-authenticate"
            ]
            if not self._authorization.challenged(challenges, answered=attempt > 0):
                raise SourceFailure("unauthorized")
        if 300 <= response.status_code < 400:
            raise SourceFailure("redirected")
        if response.status_code == 503:
            raise SourceFailure("refused", "The camera is busy; it may have too many viewers.")
        if response.status_code != 200:
            raise SourceFailure(_REASONS.get(response.status_code, "not_a_stream"))
        return _told(response)

    def receive(self, deadline: Deadline) -> bytes:
        """Return what comes next of the body, nothing at its end; blocks.

        Raises:
            SourceFailure: nothing comes in time.
        """
        while True:
            try:
                event = self._protocol.next_event()
            except h11.RemoteProtocolError:
                return b""  # cut off in the middle
            if event is h11.NEED_DATA:
                self._feed(deadline)
            elif isinstance(event, h11.Data):
                if event.data:
                    return bytes(event.data)
            else:
                return b""

    def interrupt(self) -> None:
        """Have whoever waits for the camera wake up; from any thread."""
        if self._line is not None:
            self._line.interrupt()

    def close(self) -> None:
        """End the line; safe to call twice."""
        if self._line is not None:
            self._line.close()

    def _exchange(self, target: str, deadline: Deadline) -> h11.Response:
        self.close()
        if not self._places:
            self._places = self._lines.places(self._address.host, deadline)
        self._line = self._lines.connect(
            self._places,
            self._address.port,
            deadline,
            tls_name=self._address.host if self._address.tls else None,
        )
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        try:
            self._line.send(self._request(target), deadline)
            return self._head(deadline)
        except h11.RemoteProtocolError:
            raise SourceFailure("not_a_stream") from None
        except h11.LocalProtocolError:
            raise SourceFailure("forbidden_address", "The camera's path cannot be sent.") from None

    def _request(self, target: str) -> bytes:
        headers = [
            (b"Host", self._address.authority.encode()),
            (b"User-Agent", b"DFIP"),
            (b"Accept", b"*/*"),
            (b"Connection", b"close"),
        ]
        authorization = self._authorization.header("GET", target)
        if authorization is not None:
            headers.append((b"Authorization", authorization.encode()))
        request = h11.Request(method="GET", target=target, headers=headers)
        head = self._protocol.send(request) or b""
        return head + (self._protocol.send(h11.EndOfMessage()) or b"")

    def _head(self, deadline: Deadline) -> h11.Response:
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._feed(deadline)
            elif isinstance(event, h11.Response):
                return event
            elif not isinstance(event, h11.InformationalResponse):
                raise SourceFailure("not_a_stream")

    def _feed(self, deadline: Deadline) -> None:
        assert self._line is not None  # noqa: S101 after `get`, for mypy
        self._protocol.receive_data(self._line.receive(deadline))


def _told(response: h11.Response) -> Answer:
    headers = {name: value.decode("latin-1") for name, value in reversed(list(response.headers))}
    length = headers.get(b"content-length", "")
    return Answer(
        media_type=headers.get(b"content-type", "").partition(";")[0].strip().lower(),
        length=int(length) if length.isdecimal() else None,
    )
