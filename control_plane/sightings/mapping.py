"""Sightings between the contract and the domain, and inside events."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.face_values import Box, Candidate, Embedding, Quality
from control_plane.sightings.model import Evidence, Label, Sighting, SightingReport
from dfip.control_plane.v1 import sighting_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.identity_index.v1 import embedding_pb2
from service_runtime.errors import FieldViolation, InvalidArgument


def report_of(message: gateway_pb2.SightingReport) -> SightingReport:
    """Read a worker's report.

    Raises:
        InvalidArgument: It names nobody on a match, or holds a time or an embedding that is none.
    """
    if message.decision == "match" and not message.person_id:
        raise InvalidArgument("SIGHTING_WITHOUT_PERSON", "A match must name its person.")
    started_at = moment("started_at", message.started_at)
    return SightingReport(
        id=message.id.lower(),
        track_id=message.track_id,
        revision=message.revision,
        decision=message.decision,
        person_id=message.person_id or None,
        score=message.score,
        threshold=message.threshold,
        margin=message.margin if message.HasField("margin") else None,
        started_at=started_at,
        ended_at=max(started_at, moment("ended_at", message.ended_at)),
        frames=message.frames,
        box=Box.from_proto(message.box),
        quality=Quality.from_proto(message.quality),
        evidence=Evidence(
            pack_id=message.evidence.pack_id,
            threshold_version=message.evidence.threshold_version,
            votes=message.evidence.votes,
            latency_ms=message.evidence.latency_ms,
        ),
        candidates=tuple(Candidate.from_proto(c) for c in message.evidence.candidates),
        embedding=Embedding.from_proto(message.embedding),
        crop=message.crop,
        context=message.context,
    )


def sighting_message(sighting: Sighting) -> sighting_pb2.Sighting:
    """Return the contract's sighting."""
    return sighting_pb2.Sighting(
        id=sighting.id,
        camera_id=sighting.camera_id,
        track_id=sighting.track_id,
        decision=sighting.decision,
        person_id=sighting.person_id or "",
        person_name=sighting.person_name,
        unknown_id=sighting.unknown_id or "",
        score=sighting.score,
        threshold=sighting.threshold,
        margin=sighting.margin,
        started_at=_timestamp(sighting.started_at),
        ended_at=_timestamp(sighting.ended_at),
        frames=sighting.frames,
        box=sighting.box.to_proto(),
        quality=sighting.quality.to_proto(),
        evidence=sighting_pb2.SightingEvidence(
            candidates=[
                embedding_pb2.Candidate(
                    person_id=named.candidate.person_id,
                    person_name=named.person_name,
                    face_id=named.candidate.face_id,
                    score=named.candidate.score,
                )
                for named in sighting.candidates
            ],
            pack_id=sighting.evidence.pack_id,
            threshold_version=sighting.evidence.threshold_version,
            votes=sighting.evidence.votes,
            latency_ms=sighting.evidence.latency_ms,
        ),
        label=_label_message(sighting.label) if sighting.label is not None else None,
    )


def _label_message(label: Label) -> sighting_pb2.SightingLabel:
    return sighting_pb2.SightingLabel(
        verdict=label.verdict,
        labelled_by=label.labelled_by,
        labelled_at=_timestamp(label.labelled_at),
    )


def event_payload(sighting: Sighting) -> dict[str, Any]:
    """Return a sighting as it stands inside an event.

    Without candidates: erasing a person empties the events about that person, and must not have to
    look for mentions inside all the others.
    """
    message = sighting_message(sighting)
    del message.evidence.candidates[:]
    message.person_name = ""
    return MessageToDict(message, preserving_proto_field_name=True)


def moment(field: str, message: Timestamp) -> datetime:
    """Read a time.

    Raises:
        InvalidArgument: It is none.
    """
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            "REQUEST_INVALID",
            f"{field} is not a time between the years 1 and 9999.",
            violations=[FieldViolation(field=field, description="is not a time")],
        ) from None


def _timestamp(value: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(value)
    return message
