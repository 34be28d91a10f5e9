"""Telemetry between the contract and the domain."""

import hashlib
from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.telemetry.model import SECOND_US, Bucket, Flaw, Sample, flaw_of
from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import telemetry_service_pb2 as pb

_NANOS = 1_000_000_000


def sample_of(
    message: telemetry_pb2.TelemetrySample | pb.ReportTelemetryRequest, *, now_us: int
) -> Sample | Flaw:
    """Read a sample, or say which rule it breaks."""
    if not message.HasField("timestamp") or not 0 <= message.timestamp.nanos < _NANOS:
        return Flaw(
            field="timestamp",
            reason="TIMESTAMP_INVALID",
            sentence="The timestamp is missing or is no time.",
        )
    if not message.HasField("occupancy"):
        return Flaw(
            field="occupancy",
            reason="OCCUPANCY_MISSING",
            sentence="The occupancy is missing; 0 is nobody.",
        )
    sample = Sample(
        observed_us=message.timestamp.seconds * SECOND_US + message.timestamp.nanos // 1000,
        occupancy=message.occupancy,
        confidence=message.confidence if message.HasField("confidence") else None,
        zone=message.zone,
        entries=message.entries,
        exits=message.exits,
    )
    return flaw_of(sample, now_us=now_us) or sample


def rejected_message(index: int, flaw: Flaw) -> telemetry_pb2.RejectedSample:
    """Return how a reporter is told of a sample that does not count."""
    return telemetry_pb2.RejectedSample(index=index, reason=flaw.reason, message=flaw.sentence)


def bucket_message(bucket: Bucket) -> telemetry_pb2.TelemetryBucket:
    """Return the contract's bucket."""
    return telemetry_pb2.TelemetryBucket(
        start=timestamp(bucket.start_us),
        samples=bucket.samples,
        occupancy_min=bucket.occupancy_min,
        occupancy_mean=bucket.occupancy_mean,
        occupancy_max=bucket.occupancy_max,
        entries=bucket.entries,
        exits=bucket.exits,
        confidence_mean=bucket.confidence_mean,
    )


def timestamp(moment_us: int) -> Timestamp:
    """Return microseconds since 1970 as a message."""
    seconds, rest = divmod(moment_us, SECOND_US)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def digest_of(samples: Iterable[telemetry_pb2.TelemetrySample]) -> bytes:
    """Return 16 bytes that tell the content of a batch from another's."""
    digest = hashlib.blake2b(digest_size=16)
    for sample in samples:
        data = sample.SerializeToString(deterministic=True)
        digest.update(len(data).to_bytes(4, "little"))
        digest.update(data)
    return digest.digest()


def ids_of_batch(session_id: str, sequence: int, places: Sequence[int]) -> list[int]:
    """Return the numbers of a batch's samples: a repetition of the batch gets the same ones."""
    first = _number(f"{session_id}/{sequence}")
    return [(first + place) & _POSITIVE for place in places]


def id_of_report(report_id: str) -> int:
    """Return the number of a single report: a repetition gets the same one."""
    return _number(f"report/{report_id}")


_POSITIVE = 2**63 - 1


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & _POSITIVE
