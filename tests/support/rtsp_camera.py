"""A camera of RTSP on loopback, written for tests: it does exactly what its script says.

It speaks the protocol by itself (nothing of the worker's), sends real H.264 over RTP (RFC 6184),
and keeps every byte that it heard. Each connection is served by a thread; ``close`` ends them all.
"""

import base64
import contextlib
import hashlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

USER, PASSWORD = "watcher", "canary-password"
_MTU = 1200

Answer = Callable[["Request"], bytes | None]


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    uri: str
    headers: dict[str, str]

    @property
    def number(self) -> str:
        return self.headers.get("cseq", "0")


def answered(request: Request, status: str = "200 OK", headers: str = "", body: str = "") -> bytes:
    """Return an answer; every header line ends itself with a line break."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"RTSP/1.0 {status}\r\nCSeq: {request.number}\r\n{headers}{length}\r\n{body}".encode()


def h264(pictures: list[NDArray[np.uint8]], *, key_every: int = 10) -> list[list[bytes]]:
    """Return the NAL units of each picture."""
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 25)
    context.gop_size = key_every
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"}
    units: list[list[bytes]] = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        units += [
            [unit for unit in re.split(b"\x00\x00\x00?\x01", bytes(packet)) if unit]
            for packet in context.encode(frame)
        ]
    return units


@dataclass(kw_only=True)
class RtpStream:
    """Packs H.264 into RTP: whole units, and FU-A for large ones."""

    sequence: int = 65_500  # wraps soon
    payload_type: int = 96

    def packets(self, units: list[bytes], stamp: int) -> list[bytes]:
        payloads: list[bytes] = []
        for unit in units:
            if len(unit) <= _MTU:
                payloads.append(unit)
                continue
            rest, first = unit[1:], True
            while rest:
                piece, rest = rest[:_MTU], rest[_MTU:]
                mark = (0x80 if first else 0) | (0 if rest else 0x40)
                payloads.append(bytes((unit[0] & 0x60 | 28, mark | unit[0] & 0x1F)) + piece)
                first = False
        out = []
        for number, payload in enumerate(payloads):
            last = 0x80 if number == len(payloads) - 1 else 0
            head = struct.pack(
                "!BBHII", 0x80, last | self.payload_type, self.sequence, stamp, 0x1234
            )
            out.append(head + payload)
            self.sequence = (self.sequence + 1) & 0xFFFF
        return out


def framed(packet: bytes, channel: int = 0) -> bytes:
    return struct.pack("!BBH", 0x24, channel, len(packet)) + packet


@dataclass(kw_only=True)
class Script:
    """What the camera does.

    Attributes:
        answers: own answers by method; None of one of them says nothing, ever.
        scheme: of the challenge: nothing, ``basic``, ``md5``, ``md5-old`` or ``sha-256``.
        control: the picture's address in the description.
        after: what happens after the pictures: ``hang-up``, ``silence`` or ``bye``.
        pictures: units of each picture.
        shuffled: order of the packets over UDP, a function of all of them.
        between: sent between the pictures.
    """

    answers: dict[str, Answer | None] = field(default_factory=dict)
    scheme: str = ""
    control: str = "trackID=1"
    content_base: str = ""
    after: str = "hang-up"
    pictures: list[list[bytes]] = field(default_factory=list)
    shuffled: Callable[[list[bytes]], list[bytes]] = list
    between: bytes = b""
    session: str = "12345678;timeout=60"
    extra_media: str = ""
    rtpmap: str = "H264/90000"
    stale_after: int = 0


class RtspCamera:
    """Runs a script for everybody who connects."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.reports = 0
        self.heard = bytearray()
        self.connections = 0
        self.farewell = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._nonces = 0
        self._answered = 0

    def start(self) -> "RtspCamera":
        self._threads[0].start()
        return self

    def close(self) -> None:
        """End everything at once."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.kill()
        for thread in self._threads:
            thread.join(10)

    def rest(self) -> None:
        """Wait for everybody to have left."""
        for thread in self._threads[1:]:
            thread.join(10)

    def kill(self) -> None:
        """Break every connection, as a camera that loses its power."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        self._open.add(peer)
        try:
            if self._tls is not None:
                raw, peer = peer, self._tls.wrap_socket(peer, server_side=True)
                self._open.discard(raw)
                self._open.add(peer)
            self._talk(peer)
        except OSError:
            pass
        finally:
            self._open.discard(peer)
            peer.close()

    def _talk(self, peer: socket.socket) -> None:
        udp: tuple[int, int] | None = None
        for request in self._requests(peer):
            self.requests.append(request)
            if request.method in self.script.answers:
                own = self.script.answers[request.method]
                answer = own(request) if own is not None else None
                if answer is not None:
                    peer.sendall(answer)
                if answer is None or answer.startswith(b"RTSP/1.0 2"):
                    continue
                continue
            if not self._authorized(peer, request):
                continue
            if request.method == "SETUP" and (
                ports := re.search(r"client_port=(\d+)-(\d+)", request.headers["transport"])
            ):
                udp = (int(ports[1]), int(ports[2]))
            peer.sendall(self._answer(request, udp))
            if request.method == "PLAY":
                self._play(peer, udp)
                if self.script.after == "hang-up":
                    return
            if request.method == "TEARDOWN":
                self.farewell.set()
                return

    def _requests(self, peer: socket.socket) -> Iterator[Request]:
        waiting = b""
        while True:
            while waiting[:1] == b"$" and len(waiting) >= 4:
                size = 4 + int.from_bytes(waiting[2:4])
                if len(waiting) < size:
                    break
                self.reports += 1
                waiting = waiting[size:]
            head, end, rest = waiting.partition(b"\r\n\r\n")
            if end and waiting[:1] != b"$":
                waiting = rest
                first, *lines = head.decode().split("\r\n")
                method, uri, _ = first.split(" ")
                headers = dict(line.split(": ", 1) for line in lines)
                yield Request(
                    method=method, uri=uri, headers={k.lower(): v for k, v in headers.items()}
                )
                continue
            data = peer.recv(65536)
            if not data:
                return
            self.heard += data
            waiting += data

    def _authorized(self, peer: socket.socket, request: Request) -> bool:
        scheme = self.script.scheme
        if not scheme or self._is_right(request):
            self._answered += 1
            if scheme and self.script.stale_after and self._answered % self.script.stale_after == 0:
                self._nonces += 1  # the next request's is too old
            return True
        stale = ", stale=true" if "authorization" in request.headers else ""
        stale = stale if self.script.stale_after else ""
        challenge = {
            "basic": 'Basic realm="cam"',
            "md5": f'Digest realm="cam", nonce="n{self._nonces}", qop="auth", opaque="o"{stale}',
            "md5-old": f'Digest realm="cam", nonce="n{self._nonces}"{stale}',
            "sha-256": f'Digest realm="cam", nonce="n{self._nonces}", qop="auth",'
            f" algorithm=SHA-256{stale}",
        }[scheme]
        peer.sendall(answered(request, "401 Unauthorized", f"WWW-Authenticate: {challenge}\r\n"))
        return False

    def _is_right(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        if self.script.scheme == "basic":
            return given == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        values = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
        if values.get("nonce") != f"n{self._nonces}" or values.get("uri") != request.uri:
            return False
        name = "sha256" if self.script.scheme == "sha-256" else "md5"

        def h(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        middle = ""
        if self.script.scheme != "md5-old":
            middle = f"{values.get('nc')}:{values.get('cnonce')}:{values.get('qop')}:"
        one, two = h(f"{USER}:cam:{PASSWORD}"), h(f"{request.method}:{request.uri}")
        return values.get("response") == h(f"{one}:{values['nonce']}:{middle}{two}")

    def _answer(self, request: Request, udp: tuple[int, int] | None) -> bytes:
        match request.method:
            case "DESCRIBE":
                base = self.script.content_base
                return answered(
                    request,
                    headers="Content-Type: application/sdp\r\n"
                    + (f"Content-Base: {base}\r\n" if base else ""),
                    body=self._description(),
                )
            case "SETUP":
                transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
                if udp is not None:
                    transport = (
                        f"RTP/AVP;unicast;client_port={udp[0]}-{udp[1]};server_port=50000-50001"
                    )
                return answered(
                    request,
                    headers=f"Session: {self.script.session}\r\nTransport: {transport}\r\n",
                )
            case "OPTIONS":
                public = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
                return answered(request, headers=f"Public: {public}\r\n")
            case _:
                return answered(request, headers="Session: 12345678\r\n")

    def _description(self) -> str:
        lines = [
            "v=0", "o=- 1 1 IN IP4 192.0.2.7", "s=camera", "c=IN IP4 239.1.2.3/127", "t=0 0",
            "a=control:*", *([self.script.extra_media] if self.script.extra_media else []),
            "m=video 0 RTP/AVP 96", f"a=rtpmap:96 {self.script.rtpmap}",
            "a=fmtp:96 packetization-mode=1", f"a=control:{self.script.control}",
        ]  # fmt: skip
        return "".join(f"{line}\r\n" for line in lines)

    def _play(self, peer: socket.socket, udp: tuple[int, int] | None) -> None:
        stream = RtpStream()
        packets = [
            stream.packets(units, number * 3600)
            for number, units in enumerate(self.script.pictures)
        ]
        if udp is not None:
            flat = [packet for several in packets for packet in several]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind(("127.0.0.1", 0))
                for packet in self.script.shuffled(flat):
                    sender.sendto(packet, ("127.0.0.1", udp[0]))
            return
        for several in packets:
            peer.sendall(self.script.between + b"".join(framed(packet) for packet in several))
        if self.script.after == "bye":
            bye = struct.pack("!BBHI", 0x81, 203, 1, 0x1234)
            report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0x1234, 0, 0, 0, 0, 0)
            peer.sendall(framed(report + bye, 1))
