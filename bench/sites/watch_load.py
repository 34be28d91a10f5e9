"""Watchers of cameras' changes, in a process of their own: ``python -m bench.sites.watch_load``.

It reads one JSON document from standard input (``WatchLoad.told``), opens every watch, says
``ready``, and prints what the watchers saw once each has been told of the last change. A change
carries its number and the moment at which it was asked for in the camera's name, so a watcher
knows by itself what it missed and how long it took.
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

CHANGE = re.compile(rb"#(\d+) @(\d+)")
_WATCHES_OF_A_CHANNEL = 25
_EVENTS_PER_MESSAGE = 100
Watch: TypeAlias = "asyncio.Task[None] | SseWatcher"


def name_of(number: int) -> str:
    """Return a camera's name that tells the number of the change, and the time."""
    return f"#{number} @{time.monotonic_ns()}"


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one watcher was told."""

    last: int
    numbers: list[int] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    messages: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, text: bytes) -> None:
        """Note the changes that a text tells of."""
        now = time.monotonic_ns()
        for found in CHANGE.finditer(text):
            self.numbers.append(int(found[1]))
            self.latencies_s.append((now - int(found[2])) / 1e9)
            if self.numbers[-1] == self.last:
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
        """Wait until each watcher that reads was told of the last change."""
        for kind, all_seen in self.seen.items():
            if kind != "stalled_sse":
                for seen in all_seen:
                    await seen.ended.wait()

    def figures(self) -> dict[str, Any]:
        """Return what each kind of watcher saw."""
        return {
            kind: _figures(kind, all_seen, self.told["last"])
            for kind, all_seen in self.seen.items()
            if all_seen and kind != "stalled_sse"
        }

    def _channel(self, number: int, token: FileToken | StaticToken) -> MeshChannel:
        if number % _WATCHES_OF_A_CHANNEL == 0:
            self.channels.append(open_channel(self.told["target"], token=token))
        return self.channels[-1]

    def _new(self, kind: str) -> Seen:
        seen = Seen(last=self.told["last"])
        self.seen.setdefault(kind, []).append(seen)
        return seen

    def _start(self, watching: Any) -> None:  # noqa: ANN401 - a coroutine
        self.watches.append(asyncio.create_task(watching))

    def _all(self) -> Iterator[Seen]:
        for all_seen in self.seen.values():
            yield from all_seen


def _figures(kind: str, all_seen: Sequence[Seen], last: int) -> dict[str, Any]:
    latencies = np.array([s for seen in all_seen for s in seen.latencies_s]) * 1e3
    p50, p99 = np.percentile(latencies, [50, 99])
    whole = list(range(last + 1))
    figures: dict[str, Any] = {
        "watchers": len(all_seen),
        "told": len(latencies),
        "messages": sum(seen.messages for seen in all_seen),
        "ms": {
            "p50": round(float(p50), 1),
            "p99": round(float(p99), 1),
            "max": round(float(latencies.max()), 1),
        },
    }
    if kind == "watch_cameras":
        # of a camera that changed again the newest state is enough
        figures["without_the_last"] = sum(seen.numbers[-1] != last for seen in all_seen)
    else:
        figures["missed"] = sum(len(set(whole) - set(seen.numbers)) for seen in all_seen)
        figures["out_of_order_or_twice"] = sum(
            seen.numbers != sorted(set(seen.numbers)) for seen in all_seen
        )
    return figures


async def main() -> None:
    """Watch, and print what was seen."""
    load = WatchLoad(told=json.loads(sys.stdin.readline()))
    await load.open()
    print("ready", flush=True)
    cpu = psutil.Process().cpu_times()
    await load.ended()
    after = psutil.Process().cpu_times()
    print(
        json.dumps(
            {"cpu_s": after.user + after.system - cpu.user - cpu.system, "by": load.figures()}
        ),
        flush=True,
    )
    await asyncio.to_thread(sys.stdin.readline)  # stay until all memory is measured


if __name__ == "__main__":
    uvloop.run(main())
