"""The rows of sightings, and how far each worker session has reported.

On PostgreSQL sightings lie in a partition for each day of their start (``days.py``). No key can
hold an id once across partitions, so ids stand in a table of their own too; a sighting and its id
come and go in one transaction.

Candidates stand in a table of their own, so that the erasure of a person finds every mention by an
index. A sighting names its person without a foreign key: rows of two topics are tied by the
transactions that write them.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, UtcDateTime

_ID = String(36)


class SightingRow(Base):
    """Somebody was in front of a camera."""

    __tablename__ = "sightings"
    __table_args__ = (
        # lists go by start, newest first: a start never changes, so no page loses a row
        Index(None, "started_at", "id"),
        Index(None, "camera_id", "started_at", "id"),
        Index(None, "person_id", "started_at", "id"),
        Index(None, "ended_at", "id"),
        {"postgresql_partition_by": "RANGE (started_at)"},
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    camera_id: Mapped[str] = mapped_column(_ID)
    session_id: Mapped[str] = mapped_column(_ID)
    epoch: Mapped[int] = mapped_column(Integer)
    track_id: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(BigInteger)
    decision: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[str | None] = mapped_column(_ID)
    unknown_id: Mapped[str | None] = mapped_column(_ID)
    score: Mapped[float]
    threshold: Mapped[float]
    margin: Mapped[float | None]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    frames: Mapped[int] = mapped_column(BigInteger)
    box: Mapped[dict[str, Any]] = mapped_column(JSON)
    quality: Mapped[dict[str, Any]] = mapped_column(JSON)
    # all evidence but the candidates: pack, threshold version, votes, latency
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    pack_id: Mapped[str] = mapped_column(String(64))
    dimension: Mapped[int] = mapped_column(Integer)
    # little-endian float32 values, sealed
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
    crop_blob_id: Mapped[str | None] = mapped_column(String(64), index=True)
    context_blob_id: Mapped[str | None] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SightingIdRow(Base):
    """An id that a sighting has: two sightings cannot have it, whenever they started."""

    __tablename__ = "sighting_ids"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)


class SightingCandidateRow(Base):
    """A person who may have been the one of a sighting, closest first by ``rank``."""

    __tablename__ = "sighting_candidates"

    sighting_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("sighting_ids.id", ondelete="CASCADE"), primary_key=True
    )
    rank: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    person_id: Mapped[str] = mapped_column(_ID, index=True)
    face_id: Mapped[str] = mapped_column(String(64))
    score: Mapped[float]


class SightingLabelRow(Base):
    """What a person said of a sighting: that it is somebody, or that it is not.

    One row a person that was named. At most one is no rejection, and then the sighting is that
    person's; rejections stay beside it, because they tell two people apart who look alike.
    """

    __tablename__ = "sighting_labels"

    sighting_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("sighting_ids.id", ondelete="CASCADE"), primary_key=True
    )
    person_id: Mapped[str] = mapped_column(_ID, primary_key=True, index=True)
    verdict: Mapped[str] = mapped_column(String(16))
    labelled_by: Mapped[str] = mapped_column(String(200))
    labelled_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ErasedSightingRow(Base):
    """A sighting that went with its person: its worker may still report on the same track."""

    __tablename__ = "erased_sightings"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class WorkerSessionRow(Base):
    """How far one run of a worker has reported: batches up to ``last_sequence`` are durable."""

    __tablename__ = "worker_sessions"

    session_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    camera_id: Mapped[str] = mapped_column(_ID, index=True)
    epoch: Mapped[int] = mapped_column(Integer)
    last_sequence: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
