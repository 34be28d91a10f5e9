"""What libav talks to in place of a camera of RTSP: a relay on this machine's loopback.

It speaks with the camera first, so that a camera that cannot be opened is known by its own answer
before libav begins. Then it is libav's server for one connection: it answers with a description of
its own and passes media on, reading the camera only as fast as libav takes it. What the camera
sends besides media, redirects among it, never reaches libav; what libav sends besides reports never
reaches the camera. A thread of its own carries it, asleep between two pictures.

libav proves by the address that it was told, which nobody can guess, that it is who it is.
"""

import secrets
import select
import socket
import ssl
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

from vision_worker.process.thread_name import name_this_thread
from vision_worker.sources.address import NetworkAddress
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.policy import SourceTimes
from vision_worker.sources.relay.line import Deadline, Lines
from vision_worker.sources.relay.rtsp_camera import RtspCamera, Setup
from vision_worker.sources.relay.rtsp_message import Message, NotRtsp, RtspInput, written
from vision_worker.sources.relay.session_description import Picture, description_for
from vision_worker.sources.relay.udp_media import UdpMedia

_CHUNK: Final = 1 << 16
_SHORTEST_STALL_S: Final = 1.0
_LIBAV_S: Final = 5.0
_MOST_UPWARDS: Final = 16 * 1024
_NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ: Final = select.POLLIN | select.POLLERR | select.POLLHUP


class RtspRelay:
    """Relays one opened camera.

    Args:
        address: where the camera is.
        lines: opens the line to it.
        times: how long it is waited for.
    """

    def __init__(self, address: NetworkAddress, lines: Lines, times: SourceTimes) -> None:
        self._address = address
        self._lines = lines
        self._times = times
        self._token = secrets.token_hex(16)
        self._port = 0
        self._listener: socket.socket | None = None
        self._libav: socket.socket | None = None
        self._camera: RtspCamera | None = None
        self._udp: UdpMedia | None = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self._began_s = 0.0
        self.failure: SourceFailure | None = None

    @property
    def url(self) -> str:
        """Return what libav is to open."""
        return f"rtsp://127.0.0.1:{self._port}/{self._token}"

    def open(self) -> None:
        """Agree with the camera on what it will send, and wait for libav; blocks.

        Raises:
            SourceFailure: the camera does not agree, in its own words.
        """
        self._began_s = time.monotonic()
        deadline = Deadline(self._times.open_s)
        address = self._address
        places = self._lines.places(address.host, deadline)
        line = self._lines.connect(
            places, address.port, deadline, tls_name=address.host if address.tls else None
        )
        self._camera = RtspCamera(address, line)
        try:
            picture = self._camera.describe(deadline)
            ports = None
            if address.transport == "udp":
                self._udp = UdpMedia(line.place, line.socket.getsockname()[0])
                ports = self._udp.open()
            setup = self._camera.set_up(picture, deadline, ports=ports)
            if self._udp is not None:
                self._udp.expect(setup.server_port)
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
            self._port = int(self._listener.getsockname()[1])
        except BaseException:
            self.close()
            raise
        self._thread = threading.Thread(
            target=self._run, args=(picture, setup, deadline), name="relay", daemon=True
        )
        self._thread.start()

    def packet_came(self) -> None:
        """Learn that libav made a packet: the relay looks at what comes itself."""

    def interrupt(self) -> None:
        """Have libav wake up, and end; from any thread."""
        if self._libav is not None:
            with suppress(OSError):
                self._libav.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End both connections, with a goodbye to the camera; safe to call twice."""
        self._closing = True
        if self._thread is not None:
            for end in (self._listener, self._libav):
                if end is not None:
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        for end in (self._listener, self._libav):
            if end is not None:
                end.close()
        if self._udp is not None:
            self._udp.close()
        if self._camera is not None:
            self._camera.close()

    def _run(self, picture: Picture, setup: Setup, deadline: Deadline) -> None:
        name_this_thread("relay")
        try:
            self._serve(picture, setup, deadline)
        except SourceFailure as failure:
            self.failure = failure
        except (OSError, NotRtsp, ValueError):  # libav's side, which says itself what it lacks
            pass
        except Exception:  # noqa: BLE001 - the thread's root
            self.failure = SourceFailure(
                "crashed", "Reading the camera failed unexpectedly; it is retried."
            )
        finally:
            if self._libav is not None:
                with suppress(OSError):
                    self._libav.shutdown(socket.SHUT_RDWR)
            elif self._listener is not None:
                self._listener.close()

    def _serve(self, picture: Picture, setup: Setup, deadline: Deadline) -> None:
        assert self._camera is not None  # noqa: S101 for mypy
        libav = _LibavSide(self._admit(), self.url, picture, setup)
        libav.agree()
        early = self._camera.play(picture, deadline)
        libav.playing(early)
        _Pump(
            camera=self._camera,
            libav=libav,
            udp=self._udp,
            channels=setup.channels,
            stall_s=self._times.stall_s,
            first_by_s=self._began_s + max(self._times.open_s, self._times.stall_s),
        ).run()

    def _admit(self) -> socket.socket:
        """Return libav's connection; there is no second one."""
        assert self._listener is not None  # noqa: S101 for mypy
        self._listener.settimeout(_LIBAV_S)
        self._libav, _ = self._listener.accept()
        self._listener.close()
        self._libav.settimeout(_LIBAV_S)
        self._libav.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._closing:
            raise OSError
        return self._libav


class _LibavSide:
    """libav's connection, and the part of a server that it needs."""

    def __init__(self, connection: socket.socket, url: str, picture: Picture, setup: Setup) -> None:
        self.connection = connection
        self.input = RtspInput()
        self._url = url
        self._control = f"{url}/picture"
        self._description = description_for(picture, control=self._control)
        self._channels = setup.channels
        self._play: Message | None = None

    def agree(self) -> None:
        """Answer until libav wants to play; blocks."""
        while self._play is None:
            message = self.input.message()
            if message is None:
                data = self.connection.recv(_CHUNK)
                if not data:
                    raise OSError
                self.input.feed(data)
            elif message.method == "PLAY":
                self._require_own(message)
                self._play = message
            else:
                self.connection.sendall(self.answer(message))

    def playing(self, media: bytes) -> None:
        """Tell libav that media follows, and give it the first."""
        assert self._play is not None  # noqa: S101 for mypy
        self.connection.sendall(_ok(self._play, {"Session": "1"}) + media)

    def answer(self, message: Message) -> bytes:
        """Return the answer to a request."""
        self._require_own(message)
        match message.method:
            case "OPTIONS":
                public = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
                return _ok(message, {"Public": public})
            case "DESCRIBE":
                headers = {"Content-Base": self._url, "Content-Type": "application/sdp"}
                return _ok(message, headers, self._description)
            case "SETUP":
                first, second = self._channels
                transport = f"RTP/AVP/TCP;unicast;interleaved={first}-{second}"
                return _ok(message, {"Session": "1", "Transport": transport})
            case "TEARDOWN":
                raise OSError
            case _:
                return _ok(message, {"Session": "1"})

    def _require_own(self, message: Message) -> None:
        if message.uri.rstrip("/") not in (self._url, self._control):
            raise OSError  # somebody else on this machine


class _Pump:
    """Moves media down and reports up until either side ends."""

    def __init__(
        self,
        *,
        camera: RtspCamera,
        libav: _LibavSide,
        udp: UdpMedia | None,
        channels: tuple[int, int],
        stall_s: float,
        first_by_s: float,
    ) -> None:
        self._camera = camera
        self._libav = libav
        self._udp = udp
        self._channels = channels
        self._stall_s = stall_s
        self._down: deque[memoryview] = deque()
        self._up = bytearray()
        self._poll = select.poll()
        self._watched: dict[int, int] = {}
        self._blocked = False
        self._kept_s = time.monotonic()
        self._fed_s = min(self._kept_s, max(first_by_s, self._kept_s + _SHORTEST_STALL_S) - stall_s)

    def run(self) -> None:
        """Run until either side ends.

        Raises:
            SourceFailure: it was the camera's.
            OSError: it was libav's.
        """
        camera, libav = self._camera.line.socket, self._libav.connection
        camera.setblocking(False)
        libav.setblocking(False)
        self._take_messages()  # what came with the answer to PLAY
        while True:
            ready = self._wait()
            if ready.get(libav.fileno(), 0) & _READ:
                self._hear_libav()
            if self._down:
                self._flush_down()
            if not self._down and (ready.get(camera.fileno(), 0) & _READ or _holds_more(camera)):
                self._hear_camera()
            if not self._down and self._udp is not None:
                self._hear_udp()
            self._flush_up()
            self._look_at_the_clock()

    def _wait(self) -> dict[int, int]:
        """Return what is ready; while libav has not taken all, the camera is not read."""
        take = 0 if self._down else select.POLLIN
        down = select.POLLOUT if self._down else 0
        up = select.POLLOUT if self._up else 0
        self._watch(self._libav.connection.fileno(), select.POLLIN | down)
        self._watch(self._camera.line.socket.fileno(), take | up)
        due_s = self._kept_s + self._camera.keepalive_s
        if not self._down:
            due_s = min(due_s, self._fed_s + self._stall_s)
        if self._udp is not None:
            for handle in self._udp.handles:
                self._watch(handle, take)
            if not self._down and self._udp.due_s is not None:
                due_s = min(due_s, self._udp.due_s)
        left_s = max(0.0, due_s - time.monotonic())
        return dict(self._poll.poll(left_s * 1000 + 1))

    def _watch(self, handle: int, events: int) -> None:
        if self._watched.get(handle, 0) != events:
            self._watched[handle] = events
            if events:
                self._poll.register(handle, events)
            else:  # else a line that is gone would wake us for ever
                self._poll.unregister(handle)

    def _hear_camera(self) -> None:
        try:
            # an encrypted line may hold more than poll sees
            while data := self._camera.line.socket.recv(_CHUNK):
                self._camera.input.feed(data)
                self._take_messages()
                if self._down or (len(data) < _CHUNK and not _holds_more(self._camera.line.socket)):
                    return
        except _NOT_NOW:
            return
        except OSError:
            pass
        if self._udp is not None:
            self._hear_udp()  # what was sent before the line ended
        raise SourceFailure("ended")

    def _take_messages(self) -> None:
        """Pass on the media that came, and take what came between it."""
        while True:
            media = self._camera.input.media(self._channels)
            if media is not None:
                self._pass_on(*media)
                continue
            try:
                message = self._camera.input.message()
            except NotRtsp:
                raise SourceFailure("ended") from None
            if message is None:
                return
            self._up += self._camera.heard(message)
            if len(self._up) > 2 * _MOST_UPWARDS:
                raise SourceFailure("ended")  # it asks and asks, and takes no answer

    def _hear_udp(self) -> None:
        assert self._udp is not None  # noqa: S101 for mypy
        self._pass_on(*self._udp.receive(self._channels, time.monotonic()))

    def _pass_on(self, media: bytes, pictures: int) -> None:
        if pictures:
            self._fed_s = time.monotonic()
        if media:
            self._down.append(memoryview(media))
            self._flush_down()

    def _flush_down(self) -> None:
        while self._down:
            try:
                sent = self._libav.connection.send(self._down[0])
            except BlockingIOError:
                sent = 0
            if sent < len(self._down[0]):
                self._down[0] = self._down[0][sent:]
                self._blocked = True
                return
            self._down.popleft()
        if self._blocked:  # only now is it the camera's turn again
            self._blocked = False
            self._fed_s = time.monotonic()

    def _hear_libav(self) -> None:
        data = self._libav.connection.recv(_CHUNK)
        if not data:
            raise OSError
        self._libav.input.feed(data)
        while True:
            reports = self._libav.input.media((-1, self._channels[1]))
            if reports is not None:
                self._report(reports[0])
                continue
            message = self._libav.input.message()
            if message is None:
                return
            self._down.append(memoryview(self._libav.answer(message)))

    def _report(self, reports: bytes) -> None:
        if self._udp is not None:
            self._udp.report(reports)
        elif len(self._up) + len(reports) <= _MOST_UPWARDS:
            self._up += reports

    def _flush_up(self) -> None:
        if not self._up:
            return
        try:
            sent = self._camera.line.socket.send(self._up)
        except _NOT_NOW:
            return
        except OSError:
            raise SourceFailure("ended") from None
        del self._up[:sent]

    def _look_at_the_clock(self) -> None:
        now_s = time.monotonic()
        if not self._down and now_s - self._fed_s >= self._stall_s:
            raise SourceFailure("stalled")
        if now_s - self._kept_s >= self._camera.keepalive_s:
            self._kept_s = now_s
            self._up += self._camera.keepalive()


def _ok(request: Message, headers: dict[str, str], body: bytes = b"") -> bytes:
    number = request.header("cseq")
    return written("RTSP/1.0 200 OK", {"CSeq": number, **headers}, body)


def _holds_more(line: socket.socket) -> bool:
    pending = getattr(line, "pending", None)
    return pending is not None and pending() > 0
