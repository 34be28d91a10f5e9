"""Sightings on their way to the control plane: what waits, what was sent, what is safe.

Pure and bounded. A sighting that changes before it was sent replaces its older self. What was sent
keeps its sequence number and its content until it is acknowledged, because the control plane counts
a repeated number once. When too much waits, the oldest is dropped and counted. ``gateway`` moves
the reports.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """Bounds of the spool.

    Attributes:
        waiting: sightings that may wait to be sent.
        in_flight: batches that may wait for their acknowledgement.
        batch_sightings: sightings in one batch.
        batch_bytes: size of one batch, so that it stays below what a server takes.
    """

    waiting: int = 512
    in_flight: int = 4
    batch_sightings: int = 16
    batch_bytes: int = 2 * 1024 * 1024


class ReportSpool:
    """The reports of one worker session."""

    def __init__(self, limits: SpoolLimits = SpoolLimits()) -> None:
        self._limits = limits
        self._waiting: OrderedDict[str, gateway_pb2.SightingReport] = OrderedDict()
        self._in_flight: deque[gateway_pb2.SightingBatch] = deque()
        self._unsent: deque[gateway_pb2.SightingBatch] = deque()
        self._last_sequence = 0
        self.acknowledged = 0
        self.dropped = 0

    @property
    def pending(self) -> int:
        """Sightings that are not safe yet."""
        return len(self._waiting) + sum(len(batch.sightings) for batch in self._in_flight)

    def add(self, report: gateway_pb2.SightingReport) -> None:
        """Take a new sighting, or a newer version of one."""
        self._waiting.pop(report.id, None)
        self._waiting[report.id] = report
        if len(self._waiting) > self._limits.waiting:
            self._waiting.popitem(last=False)
            self.dropped += 1

    def next_batch(self) -> gateway_pb2.SightingBatch | None:
        """Return what to send now; None when nothing waits or enough is under way."""
        if self._unsent:
            return self._unsent.popleft()
        if not self._waiting or len(self._in_flight) >= self._limits.in_flight:
            return None
        self._last_sequence += 1
        batch = gateway_pb2.SightingBatch(sequence=self._last_sequence)
        size = 0
        while self._waiting and len(batch.sightings) < self._limits.batch_sightings:
            report = next(iter(self._waiting.values()))
            size += report.ByteSize()
            if batch.sightings and size > self._limits.batch_bytes:
                break
            batch.sightings.append(report)
            del self._waiting[report.id]
        self._in_flight.append(batch)
        return batch

    def acknowledge(self, sequence: int) -> None:
        """Forget every batch up to this number: it is durable."""
        while self._in_flight and self._in_flight[0].sequence <= sequence:
            self.acknowledged += len(self._in_flight.popleft().sightings)
        self._unsent = deque(batch for batch in self._unsent if batch.sequence > sequence)

    def rewind(self) -> None:
        """After a reconnect: send again, in order and unchanged, what was not acknowledged."""
        self._unsent = deque(self._in_flight)
