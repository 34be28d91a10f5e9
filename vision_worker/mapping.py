"""Between the worker's own values and the messages of the contracts. Pure."""

from datetime import datetime

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from dfip.control_plane.v1 import sighting_pb2, telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.identity_index.v1 import embedding_pb2
from dfip.vision_worker.v1 import worker_service_pb2
from face_engine.values import Quality
from vision_worker.looking.scene import DrawnPicture
from vision_worker.occupancy.counting import OccupancySample
from vision_worker.sightings.sighting import SightingDraft
from vision_worker.spool.spool import SpoolStatus
from vision_worker.stats import PipelineStats


def sighting_report(draft: SightingDraft) -> gateway_pb2.SightingReport:
    """Return a sighting as it goes to the control plane."""
    decision, best = draft.decision, draft.best
    x, y, width, height = best.box
    row = np.ascontiguousarray(best.embedding, dtype="<f4")
    return gateway_pb2.SightingReport(
        id=draft.id,
        track_id=draft.track_id,
        revision=draft.revision,
        decision=decision.decision,
        person_id=decision.person_id or "",
        score=decision.score if decision.score is not None else 0.0,
        threshold=decision.threshold,
        margin=decision.margin,
        started_at=timestamp(draft.started_at),
        ended_at=timestamp(draft.ended_at),
        frames=draft.frames,
        box=embedding_pb2.BoundingBox(x=x, y=y, width=width, height=height),
        quality=face_quality(best.quality),
        evidence=sighting_pb2.SightingEvidence(
            candidates=[
                embedding_pb2.Candidate(person_id=c.person_id, face_id=c.face_id, score=c.score)
                for c in decision.candidates
            ],
            pack_id=draft.pack_id,
            threshold_version=draft.threshold_version,
            votes=decision.votes,
            latency_ms=draft.latency_ms,
        ),
        embedding=embedding_pb2.EmbeddingBatch(
            pack_id=draft.pack_id, dimension=row.size, vectors=row.tobytes()
        ),
        crop=best.crop,
        context=best.context,
    )


def telemetry_sample(sample: OccupancySample) -> telemetry_pb2.TelemetrySample:
    """Return how many people were in a zone as it goes to the control plane."""
    return telemetry_pb2.TelemetrySample(
        timestamp=timestamp(sample.at),
        occupancy=sample.occupancy,
        confidence=sample.confidence,
        zone=sample.zone,
        entries=sample.entries,
        exits=sample.exits,
    )


def face_quality(quality: Quality) -> embedding_pb2.FaceQuality:
    """Return the quality of a face as a message."""
    return embedding_pb2.FaceQuality(
        score=quality.score,
        width_px=quality.width_px,
        blur=quality.blur,
        yaw=quality.yaw,
        pitch=quality.pitch,
        brightness=quality.brightness,
        occlusion=quality.occlusion,
        verdict=quality.verdict,
        reasons=quality.reasons,
    )


def stage_timings(stats: PipelineStats) -> list[worker_service_pb2.StageTiming]:
    """Return the time spent in each stage, in the order in which a frame meets them."""
    return [
        worker_service_pb2.StageTiming(stage=name, count=timing.count, seconds=timing.seconds)
        for name, timing in stats.stages.items()
    ]


def picture_message(picture: DrawnPicture) -> worker_service_pb2.Picture:
    """Return what somebody looks at as a message."""
    return worker_service_pb2.Picture(
        jpeg=picture.jpeg,
        captured_at=timestamp(picture.captured_at),
        width=picture.width,
        height=picture.height,
    )


def spool_state(status: SpoolStatus) -> worker_service_pb2.SpoolState:
    """Return how the spool does, as a message."""
    return worker_service_pb2.SpoolState(
        telemetry_pending=status.telemetry_pending,
        telemetry_acknowledged=status.telemetry_acknowledged,
        telemetry_dropped=status.telemetry_dropped,
        telemetry_rejected=status.telemetry_rejected,
        bytes=status.bytes,
        trouble=status.trouble,
        refusals=status.refusals,
        set_aside=status.set_aside,
        damaged=status.damaged,
    )


def timestamp(moment: datetime) -> Timestamp:
    """Return an aware time as a message."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made
