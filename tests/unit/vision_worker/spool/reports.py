"""Reports and samples as tests make them, and a spool that is driven by hand."""

import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from tests.support.virtual_clock import VirtualClock
from vision_worker.spool.model import DEFAULT_LIMITS, Batch, Kind, SpoolLimits
from vision_worker.spool.spool import ReportSpool

CAMERA = str(uuid.UUID(int=7))


def report(number: int, revision: int = 1, crop: bytes = b"") -> gateway_pb2.SightingReport:
    return gateway_pb2.SightingReport(
        id=str(uuid.UUID(int=number)), revision=revision, crop=crop, decision="unknown"
    )


def samples(occupancies: Iterable[int]) -> list[telemetry_pb2.TelemetrySample]:
    return [telemetry_pb2.TelemetrySample(occupancy=occupancy) for occupancy in occupancies]


def spool_in(
    folder: Path, *, limits: SpoolLimits = DEFAULT_LIMITS, clock: VirtualClock | None = None
) -> ReportSpool:
    return ReportSpool(folder, camera_id=CAMERA, clock=clock or VirtualClock(), limits=limits)


def sent(spool: ReportSpool) -> list[Batch]:
    """Take all that may be sent now."""
    batches = []
    while (batch := spool.next_batch()) is not None:
        batches.append(batch)
    return batches


def numbers(batches: Sequence[Batch]) -> list[int]:
    """Return the numbers of the sightings in batches."""
    return [
        uuid.UUID(sighting.id).int
        for batch in batches
        for sighting in batch.message.sightings.sightings
    ]


def occupancies(batches: Sequence[Batch]) -> list[int]:
    """Return the samples in batches, by their occupancy."""
    return [sample.occupancy for batch in batches for sample in batch.message.telemetry.samples]


async def drained(spool: ReportSpool) -> list[Batch]:
    """Take and acknowledge all there is."""
    taken: list[Batch] = []
    while not spool.is_empty:
        batches = sent(spool)
        taken += batches
        for batch in batches:
            spool.acknowledge(batch.name)
        await spool.add_telemetry([])
    return taken


def of_kind(batches: Sequence[Batch], kind: Kind) -> list[Batch]:
    return [batch for batch in batches if batch.name.kind is kind]
