"""The values that pass between the event loop and the thread that writes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2

MIB: Final = 1024 * 1024


class Kind(Enum):
    """What a batch holds; each kind has sequence numbers of its own."""

    SIGHTINGS = "sightings"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """Bounds of the spool.

    Attributes:
        disk_bytes: size of the file, its log included.
        memory_bytes: what may wait in memory, while the disk is slow or takes nothing.
        sightings_under_way: batches of sightings that may wait for their acknowledgement.
        telemetry_under_way: batches of telemetry that may.
        batch_sightings: sightings in one batch.
        batch_samples: samples in one batch; at least those of a portion.
        batch_bytes: size of one batch, so that it stays below what a server takes.
        portion_samples: samples that are kept, sent and dropped together.
        longest_s: what waited longer is dropped; less than the control plane remembers whom it
            erased, so that nobody comes back out of a spool.
    """

    disk_bytes: int = 256 * MIB
    memory_bytes: int = 32 * MIB
    sightings_under_way: int = 4
    telemetry_under_way: int = 2
    batch_sightings: int = 16
    batch_samples: int = 1000
    batch_bytes: int = 2 * MIB
    portion_samples: int = 250
    longest_s: float = 6 * 86_400

    def under_way(self, kind: Kind) -> int:
        """Return how many batches of a kind may wait for their acknowledgement."""
        return self.sightings_under_way if kind is Kind.SIGHTINGS else self.telemetry_under_way


DEFAULT_LIMITS: Final = SpoolLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A report as it is kept; ``data`` is a serialised ``SightingReport``."""

    id: str
    revision: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Samples that are kept together; ``data`` is a serialised, numberless ``TelemetryBatch``."""

    samples: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchName:
    """Which batch of which session this is."""

    session_id: str
    kind: Kind
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is sent, as often as it takes, under one number and unchanged.

    Attributes:
        records: sightings or samples in it.
        message: as it goes into the stream.
    """

    name: BatchName
    records: int
    message: gateway_pb2.ConnectRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Another session for all that is under way, because the control plane cannot go on with one.

    Attributes:
        session_id: the new session.
        moves: the old name of each batch, and its number in the new session.
    """

    session_id: str
    moves: Sequence[tuple[BatchName, int]]

    def last(self, kind: Kind) -> int:
        """Return the last number of a kind that is taken by what was moved."""
        return max((number for name, number in self.moves if name.kind is kind), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one commit changes.

    Attributes:
        now_s: seconds since 1970.
        acknowledged: batches that are safe; those of their kind and session before them too.
        renewal: comes first.
        cut: how many batches are wanted of each kind.
    """

    now_s: float
    sightings: Sequence[Sighting] = ()
    portions: Sequence[Portion] = ()
    acknowledged: Sequence[BatchName] = ()
    renewal: Renewal | None = None
    cut: Mapping[Kind, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a store holds that is not under way, and how large it is."""

    sightings: int = 0
    samples: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a commit did.

    Attributes:
        batches: newly cut, to be sent.
        dropped_sightings: given up because of the bound.
        dropped_samples: likewise.
        damaged: rows whose content was not what was written.
    """

    holding: Holding
    batches: Sequence[Batch] = ()
    dropped_sightings: int = 0
    dropped_samples: int = 0
    damaged: int = 0
