"""Watchers of cameras' changes, in a process of their own: ``python -m bench.sites.watch_load``.

It reads one JSON document from standard input (``WatchLoad.told``), opens every watch and says
``ready``. A second document tells when each change was asked for and answered, and once every
watcher has been told of the last of them it prints what they saw. A change has its number in the
camera's name, so a watcher knows by itself what it missed.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import psutil
import uvloop

from dfip.control_plane.v1 import control_plane_service_pb2 as cameras_pb
from dfip.control_plane.v1 import event_service_pb2 as events_pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from service_runtime.clients import FileToken, MeshChannel, StaticToken, open_channel
from service_runtime.secret import Secret

CHANGE = re.compile(rb"#(\d+) @\d+")
_WATCHES_OF_A_CHANNEL = 25
_EVENTS_PER_MESSAGE = 100
_MISSED_AFTER_S = 30.0
Watch: TypeAlias = "asyncio.Task[None] | SseWatcher"
# of each change: asked for, answered
Moments: TypeAlias = Sequence[tuple[int, int]]


def name_of(number: int, asked_ns: int) -> str:
    """Return a camera's name that tells the number of the change, and is no other run's."""
    return f"#{number} @{asked_ns}"


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one watcher was told.

    Attributes:
        awaited: Numbers of changes that it has yet to be told of: all, or the last of each camera.
        numbers: The changes in the order in which it was told.
        told_ns: When, on the monotonic clock.
        messages: In how many messages.
    """

    awaited: set[int]
    numbers: list[int] = field(default_factory=list)
    told_ns: list[int] = field(default_factory=list)
    messages: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, text: bytes) -> None:
        """Note the changes that a text tells of."""
        now = time.monotonic_ns()
        for found in CHANGE.finditer(text):
            number = int(found[1])
            self.numbers.append(number)
            self.told_ns.append(now)
            self.awaited.discard(number)
        if not self.awaited:
            self.ended.set()


async def watch_events(channel: MeshChannel, seen: Seen) -> None:
    """Watch typed events over gRPC."""
    request = events_pb.WatchEventsRequest(events_per_message=_EVENTS_PER_MESSAGE)
    async for message in EventServiceStub(channel).WatchEvents(request):
        seen.opened.set()
        seen.messages += 1
        for event in message.events:
            seen.note(event.camera.name.encode())


async def watch_cameras(channel: MeshChannel, seen: Seen) -> None:
    """Watch the state of cameras, as the manager does."""
    request = cameras_pb.WatchCamerasRequest()
    async for message in ControlPlaneServiceStub(channel).WatchCameras(request):
        if message.snapshot_complete:
            seen.opened.set()
        seen.messages += 1
        for state in message.cameras:
            seen.note(state.name.encode())


class SseWatcher(asyncio.Protocol):
    """Reads server-sent events over HTTP/1.1, or stops reading once they come."""

    def __init__(self, token: str, seen: Seen, *, stalls: bool) -> None:
        self._token = token
        self._seen = seen
        self._stalls = stalls
        self._buffer = b""
        self._line = b""
        self._in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the events."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            b"GET /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
            + self._token.encode()
            + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        """Take chunks apart and lines out of them."""
        self._buffer += data
        if not self._in_body:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.splitlines()[0].decode())
            self._in_body, self._buffer = True, rest
        for chunk in self._chunks():
            self._seen.messages += 1
            *lines, self._line = (self._line + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"id:"):
                    self._seen.opened.set()
                    if self._stalls:
                        self._transport.pause_reading()
                elif line.startswith(b"data:"):
                    self._seen.note(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport; what is missing shows in what was seen."""
        del exc

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size, end, rest = self._buffer.partition(b"\r\n")
            if not end or len(rest) < int(size, 16) + 2:
                return
            self._buffer = rest[int(size, 16) + 2 :]
            yield rest[: int(size, 16)]


@dataclass(slots=True, kw_only=True)
class WatchLoad:
    """The watchers, by what they watch."""

    told: dict[str, Any]
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    watches: list[Watch] = field(default_factory=list)
    channels: list[MeshChannel] = field(default_factory=list)

    async def open(self) -> None:
        """Open every watch and wait until each stands."""
        viewers: Sequence[str] = self.told["viewers"]
        for number in range(self.told["watch_events"]):
            token = StaticToken(Secret(viewers[number % len(viewers)]))
            channel = self._channel(number, token)
            self._start(watch_events(channel, self._new("watch_events")))
        manager = FileToken(Path(self.told["manager"]))
        for number in range(self.told["watch_cameras"]):
            channel = self._channel(number, manager)
            self._start(watch_cameras(channel, self._new("watch_cameras")))
        for kind in ("sse", "stalled_sse"):
            for number in range(self.told[kind]):
                token_text = viewers[number % len(viewers)]
                watcher = SseWatcher(token_text, self._new(kind), stalls=kind != "sse")
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda made=watcher: made, *self.told["edge"])  # type: ignore[misc]  # mypy knows no defaults of lambdas
        for seen in self._all():
            await seen.opened.wait()

    async def ended(self) -> None:
        """Wait until each watcher that reads was told of all, but not for ever."""
        reading = [
            asyncio.create_task(seen.ended.wait())
            for kind, all_seen in self.seen.items()
            if kind != "stalled_sse"
            for seen in all_seen
        ]
        await asyncio.wait(reading, timeout=_MISSED_AFTER_S)

    def figures(self, moments: Moments) -> dict[str, Any]:
        """Return what each kind of watcher saw of changes that were made at these moments."""
        return {
            kind: _figures(kind, all_seen, moments)
            for kind, all_seen in self.seen.items()
            if all_seen and kind != "stalled_sse"
        }

    def _channel(self, number: int, token: FileToken | StaticToken) -> MeshChannel:
        if number % _WATCHES_OF_A_CHANNEL == 0:
            self.channels.append(open_channel(self.told["target"], token=token))
        return self.channels[-1]

    def _new(self, kind: str) -> Seen:
        changes: int = self.told["changes"]
        newest = max(0, changes - self.told["cameras"]) if kind == "watch_cameras" else 0
        seen = Seen(awaited=set(range(newest, changes)))
        self.seen.setdefault(kind, []).append(seen)
        return seen

    def _start(self, watching: Any) -> None:  # noqa: ANN401 - a coroutine
        self.watches.append(asyncio.create_task(watching))

    def _all(self) -> Iterator[Seen]:
        for all_seen in self.seen.values():
            yield from all_seen


def _figures(kind: str, all_seen: Sequence[Seen], moments: Moments) -> dict[str, Any]:
    numbers = np.array([number for seen in all_seen for number in seen.numbers])
    told_ns = np.array([told for seen in all_seen for told in seen.told_ns])
    made_ns = np.array(moments)[numbers]
    figures: dict[str, Any] = {
        "watchers": len(all_seen),
        "told": len(numbers),
        "messages": sum(seen.messages for seen in all_seen),
        "ms_from_request": _spread((told_ns - made_ns[:, 0]) / 1e6),
        "ms_from_answer": _spread((told_ns - made_ns[:, 1]) / 1e6),
        # of a camera that changed again, those who watch cameras may be told the newest state alone
        "missed": sum(len(seen.awaited) for seen in all_seen),
    }
    if kind != "watch_cameras":
        order = all_seen[0].numbers
        figures["in_another_order_or_twice"] = sum(
            seen.numbers != order or len(set(seen.numbers)) < len(seen.numbers) for seen in all_seen
        )
    return figures


def _spread(values: "np.ndarray[Any, Any]") -> dict[str, float]:
    p50, p99 = np.percentile(values, [50, 99])
    spread = {"p50": p50, "p99": p99, "max": values.max()}
    return {name: round(float(value), 1) for name, value in spread.items()}


async def main() -> None:
    """Watch, and print what was seen."""
    load = WatchLoad(told=json.loads(sys.stdin.readline()))
    await load.open()
    print("ready", flush=True)
    cpu = psutil.Process().cpu_times()
    moments = json.loads(await asyncio.to_thread(sys.stdin.readline))
    await load.ended()
    after = psutil.Process().cpu_times()
    spent_s = after.user + after.system - cpu.user - cpu.system
    print(json.dumps({"cpu_s": spent_s, "by": load.figures(moments)}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # stay until all memory is measured


if __name__ == "__main__":
    uvloop.run(main())
