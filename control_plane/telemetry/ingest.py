"""Taking telemetry in: at least once on the wire, exactly once in the database.

Three ways lead here: a report of one sample, the telemetry stream, and a worker's gateway stream.
Samples are checked one by one; one that breaks a rule is left out and told. The rest of its batch
goes to ``group_commit.py``, and this returns once it is durable.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.telemetry import mapping
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.known_cameras import KnownCameras
from control_plane.telemetry.model import Batch, Flaw, Place, Sample, microseconds
from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import telemetry_service_pb2 as pb
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reports, as its token says; the epoch is held against the one in force."""

    camera_id: str
    epoch: int | None


class TelemetryIngest:
    """Where all telemetry comes in."""

    def __init__(self, known: KnownCameras, line: GroupCommit, clock: Clock) -> None:
        self._known = known
        self._line = line
        self._clock = clock

    async def record_report(self, reporter: Reporter, report: pb.ReportTelemetryRequest) -> None:
        """Write a single report; when this returns, it is durable.

        Raises:
            InvalidArgument: The sample breaks a rule.
            NotFound: The camera is gone.
            FailedPrecondition: ``STALE_EPOCH``.
            ResourceExhausted: More arrives than can be written.
        """
        await self._known.require(reporter.camera_id)
        sample = mapping.sample_of(report, now_us=microseconds(self._clock.now()))
        if isinstance(sample, Flaw):
            raise sample.refusal()
        repeatable = bool(report.report_id)
        id_ = mapping.id_of_report(report.report_id if repeatable else uuid.uuid4().hex)
        await self._line.write(
            Batch(
                camera_id=reporter.camera_id,
                epoch=reporter.epoch,
                samples=(sample,),
                ids=(id_,),
                repeatable=repeatable,
            )
        )

    async def record_batch(
        self,
        reporter: Reporter,
        *,
        session_id: str,
        sequence: int,
        samples: Sequence[telemetry_pb2.TelemetrySample],
    ) -> list[telemetry_pb2.RejectedSample]:
        """Write a batch and return what was left out; when this returns, the rest is durable.

        Raises:
            NotFound: The camera is gone.
            FailedPrecondition: ``STALE_EPOCH``.
            PermissionDenied: The session is another camera's.
            OutOfRange: ``SEQUENCE_GAP``: batches before this one are missing.
            AlreadyExists: ``SEQUENCE_REUSED``: another batch had this number.
        """
        await self._known.require(reporter.camera_id)
        session_id = session_id.lower()
        now_us = microseconds(self._clock.now())
        places: list[int] = []
        kept: list[Sample] = []
        rejected: list[telemetry_pb2.RejectedSample] = []
        for place, message in enumerate(samples):
            sample = mapping.sample_of(message, now_us=now_us)
            if isinstance(sample, Flaw):
                rejected.append(mapping.rejected_message(place, sample))
            else:
                places.append(place)
                kept.append(sample)
        await self._line.write(
            Batch(
                camera_id=reporter.camera_id,
                epoch=reporter.epoch,
                samples=kept,
                ids=mapping.ids_of_batch(session_id, sequence, places),
                place=Place(
                    session_id=session_id, sequence=sequence, digest=mapping.digest_of(samples)
                ),
            ),
            patient=True,
        )
        if rejected:
            _log.warning(
                "telemetry.rejected",
                camera_id=reporter.camera_id,
                samples=len(rejected),
                reason=rejected[0].reason,
            )
        return rejected
