"""An RTSP camera of a few hundred lines, which misbehaves in every way a test wants.

    async with wayward_camera(reel) as camera:
        camera.url                      # rtsp://127.0.0.1:…/stream
        camera.break_all()              # every connection at once
        camera.temper.silent = True     # what comes next, see Temper

It speaks what a worker asks of a camera, RTSP 1.0 with RTP inside the same connection: enough of
RFC 2326, 6184 (H.264), 7798 (H.265), 2617 and 7616 (digest). It needs no package of the system, so
`make test` has it; ``tests/cameras`` puts GStreamer's server in its place.
"""

import asyncio
import base64
import hashlib
import re
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from tests.support.reels import Reel, Unit, nal_units

USER = "viewer"
PASSWORD = "canary-pass-0815"
_REALM = "camera"
_MTU = 1400
_TYPES = {"h264": 96, "h265": 97}
Algorithm = Literal["MD5", "SHA-256"]


@dataclass(slots=True, kw_only=True)
class Guard:
    """How a camera asks for a password, and whether it takes the answer.

    Attributes:
        stale_after: answers that one nonce is good for; then it is stale. 0 is for ever.
    """

    algorithm: Algorithm = "MD5"
    qop: bool = False
    named: bool = True  # old cameras do not say which algorithm they mean
    stale_after: int = 0
    password: str = PASSWORD
    _nonce: str = ""
    _used: int = 0
    _counts: set[str] = field(default_factory=set)

    def challenge(self, *, stale: bool = False) -> str:
        """Return a header that asks for the password."""
        self._nonce, self._used, self._counts = secrets.token_hex(8), 0, set()
        parts = [f'realm="{_REALM}"', f'nonce="{self._nonce}"']
        if self.named:
            parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append('qop="auth"')
        if stale:
            parts.append("stale=true")
        return f"WWW-Authenticate: Digest {', '.join(parts)}\r\n"

    def verdict(self, method: str, header: str | None) -> Literal["welcome", "stale", "refused"]:
        """Judge an Authorization header."""
        if header is None or not header.startswith("Digest "):
            return "refused"
        found = re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', header)
        given = {name: quoted or plain for name, quoted, plain in found}
        if given.get("nonce") != self._nonce:
            return "stale"
        first = self._hash(f"{USER}:{_REALM}:{self.password}")
        second = self._hash(f"{method}:{given.get('uri', '')}")
        middle = self._nonce
        if self.qop:
            count = given.get("nc", "")
            if given.get("qop") != "auth" or count in self._counts:
                return "refused"
            self._counts.add(count)
            middle = f"{self._nonce}:{count}:{given.get('cnonce', '')}:auth"
        if given.get("response") != self._hash(f"{first}:{middle}:{second}"):
            return "refused"
        self._used += 1
        return "stale" if self.stale_after and self._used > self.stale_after else "welcome"

    def _hash(self, text: str) -> str:
        make = hashlib.md5 if self.algorithm == "MD5" else hashlib.sha256
        return make(text.encode()).hexdigest()


@dataclass(slots=True, kw_only=True)
class Temper:
    """How the camera behaves from here on.

    Attributes:
        deaf: accept connections and never answer.
        silent: send no media, and keep connections open.
        burst_s: media of so many seconds that a client gets at once, as from many cameras.
        ends: hang up once the reel was played, in place of playing it again.
        status: answer DESCRIBE with this and these headers.
    """

    deaf: bool = False
    silent: bool = False
    ends: bool = False
    burst_s: float = 0.0
    status: str = "200 OK"
    headers: str = ""


@dataclass(slots=True, kw_only=True)
class WaywardCamera:
    """A camera that serves."""

    reel: Reel
    guard: Guard | None = None
    temper: Temper = field(default_factory=Temper)
    port: int = 0
    connections: int = 0
    refusals: int = 0
    playing: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The address without credentials."""
        return f"rtsp://127.0.0.1:{self.port}/stream"

    @property
    def url_with_password(self) -> str:
        """The address with credentials."""
        return f"rtsp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/stream"

    async def switch_on(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def switch_off(self) -> None:
        """Listen no more and break every connection."""
        assert self._server is not None
        self._server.close()
        self.break_all()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)

    def break_all(self) -> int:
        """Break every connection at once; return how many."""
        count = len(self._writers)
        for writer in list(self._writers):
            writer.transport.abort()
        return count

    def hang_up(self) -> None:
        """End every connection properly."""
        for writer in list(self._writers):
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        feeding: asyncio.Task[None] | None = None
        try:
            while True:
                first = await reader.readexactly(1)
                if first == b"$":  # RTCP of the client
                    (length,) = struct.unpack("!xH", await reader.readexactly(3))
                    await reader.readexactly(length)
                    continue
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
                if self.temper.deaf:
                    continue
                method = head.split(" ", 1)[0]
                answer = self._answer(method, head)
                writer.write(answer.encode())
                await writer.drain()
                if method == "PLAY" and feeding is None and " 200 OK" in answer:
                    feeding = asyncio.create_task(self._feed(writer))
                if method == "TEARDOWN":
                    return
        finally:
            if feeding is not None:
                feeding.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await feeding

    def _answer(self, method: str, head: str) -> str:
        number = re.search(r"(?i)^cseq:\s*(\d+)", head, re.MULTILINE)
        tail = f"CSeq: {number[1] if number else 0}\r\n"
        if self.guard is not None and method != "OPTIONS":
            given = re.search(r"(?im)^authorization:\s*(.*?)\r$", head)
            verdict = self.guard.verdict(method, given[1] if given else None)
            if verdict != "welcome":
                self.refusals += 1
                challenge = self.guard.challenge(stale=verdict == "stale")
                return f"RTSP/1.0 401 Unauthorized\r\n{tail}{challenge}\r\n"
        match method:
            case "OPTIONS":
                tail += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
            case "DESCRIBE" if self.temper.status != "200 OK":
                return f"RTSP/1.0 {self.temper.status}\r\n{tail}{self.temper.headers}\r\n"
            case "DESCRIBE":
                sdp = self._description()
                tail += (
                    f"Content-Base: {self.url}/\r\nContent-Type: application/sdp\r\n"
                    f"Content-Length: {len(sdp)}\r\n"
                )
                return f"RTSP/1.0 200 OK\r\n{tail}\r\n{sdp}"
            case "SETUP" if "interleaved=" not in head:
                return f"RTSP/1.0 461 Unsupported Transport\r\n{tail}\r\n"
            case "SETUP":
                transport = re.search(r"(?im)^transport:\s*(.*?)\r$", head)
                assert transport is not None
                tail += f"Transport: {transport[1]}\r\nSession: 1234;timeout=60\r\n"
            case "PLAY":
                tail += "Session: 1234\r\nRange: npt=0-\r\n"
        return f"RTSP/1.0 200 OK\r\n{tail}\r\n"

    def _description(self) -> str:
        codec, number = self.reel.codec, _TYPES[self.reel.codec]
        lines = [
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0",
            f"m=video 0 RTP/AVP {number}", f"a=rtpmap:{number} {codec.upper()}/90000",
            f"a=fmtp:{number} {self._parameters()}", "a=control:track1",
        ]  # fmt: skip
        return "".join(f"{line}\r\n" for line in lines)

    def _parameters(self) -> str:
        sets: dict[int, str] = {}
        for nal in nal_units(self.reel.units[0].data):
            sets[_kind(self.reel, nal)] = base64.b64encode(nal).decode()
        if self.reel.codec == "h264":
            return f"packetization-mode=1;sprop-parameter-sets={sets.get(7)},{sets.get(8)}"
        return f"sprop-vps={sets.get(32)};sprop-sps={sets.get(33)};sprop-pps={sets.get(34)}"

    async def _feed(self, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        self.playing += 1
        sequence, source = secrets.randbelow(1 << 16), secrets.randbelow(1 << 32)
        began, offset_s = loop.time() - self.temper.burst_s, 0.0
        try:
            while True:
                reel = self.reel
                for unit in reel.units:
                    ahead_s = began + offset_s + unit.due_s - loop.time()
                    if ahead_s > 0:
                        await asyncio.sleep(ahead_s)
                    if self.temper.silent:
                        continue
                    for payload, last in _payloads(reel, unit):
                        stamp = round((offset_s + unit.stamp_s) * 90_000) & 0xFFFFFFFF
                        kind = _TYPES[reel.codec] | (0x80 if last else 0)
                        head = struct.pack("!BBHII", 0x80, kind, sequence, stamp, source)
                        sequence = (sequence + 1) & 0xFFFF
                        packet = head + payload
                        writer.write(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                    await writer.drain()
                if self.temper.ends:
                    writer.transport.abort()
                    return
                offset_s += reel.length_s
        finally:
            self.playing -= 1


def _kind(reel: Reel, nal: bytes) -> int:
    return nal[0] & 0x1F if reel.codec == "h264" else (nal[0] >> 1) & 0x3F


def _payloads(reel: Reel, unit: Unit) -> list[tuple[bytes, bool]]:
    """Return the RTP payloads of a unit, and of each whether it is the unit's last."""
    found: list[bytes] = []
    for nal in nal_units(unit.data):
        if len(nal) <= _MTU:
            found.append(nal)
            continue
        if reel.codec == "h264":
            head, kind, rest = bytes([(nal[0] & 0xE0) | 28]), nal[0] & 0x1F, nal[1:]
        else:
            head, kind, rest = (
                bytes([(nal[0] & 0x81) | (49 << 1), nal[1]]),
                _kind(reel, nal),
                nal[2:],
            )
        pieces = [rest[at : at + _MTU] for at in range(0, len(rest), _MTU)]
        for number, piece in enumerate(pieces):
            start, end = number == 0, number == len(pieces) - 1
            found.append(head + bytes([start << 7 | end << 6 | kind]) + piece)
    return [(payload, number == len(found) - 1) for number, payload in enumerate(found)]


@asynccontextmanager
async def wayward_camera(reel: Reel, *, guard: Guard | None = None) -> AsyncIterator[WaywardCamera]:
    """Run a camera on a free port until the end of the block."""
    camera = WaywardCamera(reel=reel, guard=guard)
    await camera.switch_on()
    try:
        yield camera
    finally:
        await camera.switch_off()
