"""What was added and is not written yet, in its order. Pure.

A newer revision of a sighting takes the place of its older self. Samples are serialised as they
come: portions that lie next to each other are joined, which for serialised lists is to put one
after the other.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TypeAlias

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from vision_worker.spool.model import Portion, Sighting

Durable: TypeAlias = "asyncio.Future[bool]"
"""Done when what was added is in the file: True. False where it is in memory, without a disk."""


class Line:
    """Additions that go into one commit."""

    def __init__(self) -> None:
        self.sightings: OrderedDict[str, Sighting] = OrderedDict()
        self.waiting: list[Durable] = []
        self.samples = 0
        self.bytes = 0
        self._portions: deque[Portion] = deque()

    def __bool__(self) -> bool:
        return bool(self.sightings or self._portions)

    def add(self, sighting: Sighting) -> None:
        """Take a sighting, or a newer revision of one."""
        older = self.sightings.get(sighting.id)
        if older is not None and older.revision >= sighting.revision:
            return
        self.bytes += len(sighting.data) - (len(older.data) if older is not None else 0)
        self.sightings[sighting.id] = sighting

    def extend(self, samples: Sequence[telemetry_pb2.TelemetrySample], *, portion: int) -> None:
        """Take samples, at most ``portion`` of them together."""
        for start in range(0, len(samples), portion):
            part = samples[start : start + portion]
            data = gateway_pb2.TelemetryBatch(samples=part).SerializeToString()
            self._portions.append(Portion(samples=len(part), data=data))
            self.samples += len(part)
            self.bytes += len(data)

    def portions(self, *, portion: int) -> list[Portion]:
        """Return the samples in as few portions as may be."""
        joined: list[Portion] = []
        parts: list[bytes] = []
        samples = 0
        for part in self._portions:
            if parts and samples + part.samples > portion:
                joined.append(Portion(samples=samples, data=b"".join(parts)))
                parts, samples = [], 0
            parts.append(part.data)
            samples += part.samples
        if parts:
            joined.append(Portion(samples=samples, data=b"".join(parts)))
        return joined

    def drop_oldest(self) -> tuple[int, int]:
        """Drop samples, else a sighting; return how many sightings and samples went."""
        if self._portions:
            portion = self._portions.popleft()
            self.samples -= portion.samples
            self.bytes -= len(portion.data)
            return 0, portion.samples
        _, sighting = self.sightings.popitem(last=False)
        self.bytes -= len(sighting.data)
        return 1, 0
