"""Reporters of telemetry, what they sent, and the model of what must hold of it.

Every sample of a camera has a second of its own, so the stored seconds tell which samples are
there and how often. What was acknowledged must be there once; what was sent and not acknowledged
may be there, once; what was refused must not be there at all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dfip.control_plane.v1.telemetry_pb2 import TelemetrySample
from service_runtime.identifiers import new_id
from tests.support.telemetry import TelemetryStream, sample, stored_seconds


@dataclass(slots=True, kw_only=True)
class History:
    """What was sent of one camera, by the second of each sample."""

    next_second: int = 0
    sent: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def take(self, count: int) -> list[int]:
        """Return seconds that no sample has had yet."""
        start = self.next_second
        self.next_second += count
        self.sent |= set(range(start, self.next_second))
        return list(range(start, self.next_second))

    def lost(self, stored: Sequence[int]) -> set[int]:
        """Return what was acknowledged and is not there."""
        return self.acknowledged - set(stored)

    def double(self, stored: Sequence[int]) -> set[int]:
        """Return what is there more than once."""
        return {second for second, times in Counter(stored).items() if times > 1}

    def check(self, stored: Sequence[int]) -> None:
        """Hold what is stored against what was promised."""
        double = sorted(self.double(stored))
        assert not double, f"stored more than once: {double}"
        lost = self.lost(stored)
        assert not lost, f"acknowledged and lost: {sorted(lost)}"
        uninvited = set(stored) & self.refused
        assert not uninvited, f"refused and stored: {sorted(uninvited)}"
        invented = set(stored) - self.sent
        assert not invented, f"stored and never sent: {sorted(invented)}"


@dataclass(slots=True, kw_only=True)
class Reporter:
    """A worker's telemetry: one session at a time, batches in their order."""

    camera_id: str
    epoch: int
    channel: Any
    start: datetime
    history: History = field(default_factory=History)
    session_id: str = field(default_factory=new_id)
    sequence: int = 0
    batches: dict[int, list[int]] = field(default_factory=dict)

    def samples(self, seconds: Sequence[int], **fields: Any) -> list[TelemetrySample]:
        """Return the samples of these seconds; the same ones each time."""
        return [sample(self.start + timedelta(seconds=s), s, **fields) for s in seconds]

    def stream(self) -> TelemetryStream:
        """Return a stream of this session that is not open yet."""
        return TelemetryStream(channel=self.channel, session_id=self.session_id)

    def next_batch(self, count: int) -> tuple[int, list[int]]:
        """Return the next number and the seconds of new samples."""
        self.sequence += 1
        self.batches[self.sequence] = self.history.take(count)
        return self.sequence, self.batches[self.sequence]

    def acknowledged(self, sequence: int) -> None:
        """Note that a batch is promised to be there."""
        self.history.acknowledged |= set(self.batches[sequence])

    async def deliver(self, count: int) -> None:
        """Send a new batch and have it acknowledged."""
        sequence, seconds = self.next_batch(count)
        await self.stream().send_as(sequence, self.samples(seconds))
        self.acknowledged(sequence)

    def refused_batch(self, count: int) -> list[int]:
        """Return seconds of samples that must not be stored."""
        seconds = self.history.take(count)
        self.history.refused |= set(seconds)
        return seconds

    async def stored(self, viewer: Any) -> list[int]:
        """Return the second of every stored sample."""
        return await stored_seconds(viewer, self.camera_id, self.start)

    async def check(self, viewer: Any) -> None:
        """Hold what is stored of the camera against its history."""
        self.history.check(await self.stored(viewer))
