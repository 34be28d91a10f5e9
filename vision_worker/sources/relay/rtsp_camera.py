"""A camera's RTSP (RFC 2326) from this side: described, set up, playing, kept alive, let go.

The reason of every failure is told by the camera's own answer. Credentials go to this camera alone,
over a line that leads to a judged address; redirects are not followed. `rtsp_relay.py` carries what
it sends to libav.
"""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from vision_worker.sources.address import NetworkAddress
from vision_worker.sources.failure import FailureReason, SourceFailure
from vision_worker.sources.relay.authorization import Authorization
from vision_worker.sources.relay.line import CameraLine, Deadline
from vision_worker.sources.relay.rtsp_message import (
    Message,
    NotRtsp,
    RtspInput,
    parameters,
    written,
)
from vision_worker.sources.relay.session_description import Picture, picture_of

_AGENT: Final = "DFIP"
_MOST_EARLY_MEDIA: Final = 4 << 20
_USUAL_SESSION_S: Final = 60.0
_FAREWELL_S: Final = 0.3
_FORGETS_ITSELF: Final = frozenset({"OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE"})

_REASONS: Final[dict[int, FailureReason]] = {
    401: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    410: "not_found",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What was agreed with the camera.

    Attributes:
        channels: numbers of the picture and of its reports between the messages.
        server_port: port that the camera sends pictures from over UDP, where it said so.
    """

    channels: tuple[int, int] = (0, 1)
    server_port: int | None = None


class RtspCamera:
    """One conversation with a camera.

    Args:
        address: where the camera is, with its credentials.
        line: leads there; ``close`` ends it.
    """

    def __init__(self, address: NetworkAddress, line: CameraLine) -> None:
        self.line = line
        self.input = RtspInput()
        self.keepalive_s = _USUAL_SESSION_S / 2
        self._address = address
        self._authorization = Authorization(address.credentials)
        self._number = 0
        self._session = ""
        self._knows_parameters = False
        self._playing = ""
        self._channels = (-1, -1)
        self._early = bytearray()

    def describe(self, deadline: Deadline) -> Picture:
        """Ask what there is to see; blocks.

        Raises:
            SourceFailure: the camera does not tell, or there is nothing.
        """
        uri = f"{self._address.scheme}://{self._address.authority}{self._address.target.reveal()}"
        options = self._ask("OPTIONS", uri, {}, deadline, whatever=True)
        self._knows_parameters = "GET_PARAMETER" in options.header("public")
        answer = self._ask("DESCRIBE", uri, {"Accept": "application/sdp"}, deadline)
        told = (answer.header("content-base"), answer.header("content-location"))
        whole = (base for base in told if base.lower().startswith(("rtsp://", "rtsps://")))
        return picture_of(answer.body, base=next(whole, uri))

    def set_up(
        self, picture: Picture, deadline: Deadline, *, ports: tuple[int, int] | None
    ) -> Setup:
        """Agree on how the picture comes; blocks.

        Args:
            picture: what ``describe`` answered.
            deadline: until when.
            ports: own ports for UDP; None has it come over this line.

        Raises:
            SourceFailure: the camera does not agree.
        """
        wanted = "RTP/AVP/TCP;unicast;interleaved=0-1"
        if ports is not None:
            wanted = f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]}"
        answer = self._ask("SETUP", picture.control, {"Transport": wanted}, deadline)
        session, *rest = answer.header("session").split(";")
        self._session = session.strip()
        for name, value in parameters(";".join(rest)):
            if name == "timeout" and value.isdecimal() and len(value) < 6:
                self.keepalive_s = min(max(int(value) / 2, 0.5), 30.0)
        agreed = dict(parameters(answer.header("transport")))
        if ports is not None:
            return Setup(server_port=_pair(agreed.get("server_port", ""))[0])
        if "interleaved" not in agreed and "client_port" in agreed:
            raise _wrong_transport()
        first, second = _pair(agreed.get("interleaved", "0-1"))
        if first is None or second is None or not first < 256 > second:
            raise SourceFailure("not_a_stream")
        self._channels = (first, second)
        return Setup(channels=self._channels)

    def play(self, picture: Picture, deadline: Deadline) -> bytes:
        """Have the camera send; blocks. Return the media that came before its answer.

        Raises:
            SourceFailure: the camera does not agree.
        """
        self._playing = picture.aggregate
        self._ask("PLAY", picture.aggregate, {"Range": "npt=0.000-"}, deadline)
        early, self._early = bytes(self._early), bytearray()
        return early

    def keepalive(self) -> bytes:
        """Return a request that keeps the session."""
        method = "GET_PARAMETER" if self._knows_parameters else "OPTIONS"
        return self._request(method, self._playing, {})

    def heard(self, message: Message) -> bytes:
        """Take a message that came between media; return what is to be sent for it.

        Raises:
            SourceFailure: it ends the session.
        """
        if message.status:
            # of a keepalive, the only request while the camera sends
            challenges = message.all("www-authenticate")
            if message.status == 401 and self._authorization.challenged(challenges, answered=False):
                return b""  # the next one carries the answer; sessions outlive one that fails
            if message.status == 454:
                raise SourceFailure("ended")
            return b""
        if message.method == "REDIRECT":
            raise SourceFailure("redirected")
        status = "200 OK" if message.method in _FORGETS_ITSELF else "501 Not Implemented"
        number = message.header("cseq")
        return written(f"RTSP/1.0 {status}", {"CSeq": number if number.isdecimal() else "0"})

    def close(self) -> None:
        """Say goodbye, so that the camera frees the session at once, and end the line."""
        with suppress(SourceFailure, ValueError):
            if self._session:
                uri = self._playing or self._address.scheme
                self.line.send(self._request("TEARDOWN", uri, {}), Deadline(_FAREWELL_S))
                # data that nobody read would have the kernel reset the line before it is read there
                with suppress(OSError):
                    socket.socket.shutdown(self.line.socket, socket.SHUT_WR)
                deadline = Deadline(_FAREWELL_S)
                while self.line.receive(deadline):
                    pass
        self.line.close()

    def _ask(
        self,
        method: str,
        uri: str,
        headers: dict[str, str],
        deadline: Deadline,
        *,
        whatever: bool = False,
    ) -> Message:
        """Return the answer to a request, its challenge answered.

        With ``whatever`` a refusal does not matter, as long as it is none of the credentials.
        """
        for attempt in range(3):
            self.line.send(self._request(method, uri, headers), deadline)
            answer = self._answer(deadline)
            if answer.status != 401:
                break
            challenges = answer.all("www-authenticate")
            if not self._authorization.challenged(challenges, answered=attempt > 0):
                raise SourceFailure("unauthorized")
        if 200 <= answer.status < 300:
            return answer
        if 300 <= answer.status < 400:
            raise SourceFailure("redirected")
        if answer.status == 461:
            raise _wrong_transport()
        if answer.status in (453, 503):
            raise SourceFailure("refused", "The camera is busy; it may have too many viewers.")
        if whatever and answer.status != 401:
            return answer
        raise SourceFailure(_REASONS.get(answer.status, "not_a_stream"))

    def _answer(self, deadline: Deadline) -> Message:
        while True:
            try:
                message = self.input.message()
            except NotRtsp:
                raise SourceFailure("not_a_stream") from None
            if message is not None and message.status:
                return message  # there is no other request that waits; some count wrongly
            if message is not None:
                self.line.send(self.heard(message), deadline)
                continue
            if (media := self.input.media(self._channels)) is not None:
                if len(self._early) < _MOST_EARLY_MEDIA:
                    self._early += media[0]
                continue
            data = self.line.receive(deadline)
            if not data:
                raise SourceFailure("not_a_stream", "The camera hangs up; check its port and path.")
            self.input.feed(data)

    def _request(self, method: str, uri: str, headers: dict[str, str]) -> bytes:
        self._number += 1
        whole = {"CSeq": str(self._number), "User-Agent": _AGENT, **headers}
        if self._session:
            whole["Session"] = self._session
        authorization = self._authorization.header(method, uri)
        if authorization is not None:
            whole["Authorization"] = authorization
        return written(f"{method} {uri} RTSP/1.0", whole)


def _pair(text: str) -> tuple[int | None, int | None]:
    numbers = [int(part) for part in text.split("-")[:2] if part.isdecimal() and len(part) < 6]
    return (numbers[0], numbers[-1]) if numbers else (None, None)


def _wrong_transport() -> SourceFailure:
    return SourceFailure(
        "not_a_stream",
        "The camera does not send over TCP, or not over UDP where that is asked for; put "
        "#transport=udp behind its address, or take it away.",
    )
