"""The rows of known people.

Pictures stand in the blob store and are named here by their blob id; what must leave the store is
written into ``blob_removals`` in the transaction that removes the rows (``blobs/removal.py``).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, UtcDateTime, sorted_text

_ID = String(36)


class PersonRow(Base):
    """A known person."""

    __tablename__ = "persons"
    __table_args__ = (Index(None, "sort_key", "id"),)

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    # the name, folded: what lists are filtered by, whatever the case
    name_key: Mapped[str] = mapped_column(sorted_text(600))
    # as much of it as fits into a page token: what lists are sorted by
    sort_key: Mapped[str] = mapped_column(sorted_text(300))
    notes: Mapped[str] = mapped_column(String(4000))
    labels: Mapped[list[str]] = mapped_column(JSON)
    # a repeated request finds the person that it made
    request_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FaceRow(Base):
    """An enrolled face of a person."""

    __tablename__ = "faces"
    __table_args__ = (
        Index(None, "person_id", "revision"),
        Index(None, "pack_id", "id"),
        Index(None, "pack_id", "revision"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    person_id: Mapped[str] = mapped_column(_ID, ForeignKey("persons.id", ondelete="CASCADE"))
    pack_id: Mapped[str] = mapped_column(String(64))
    quality: Mapped[dict[str, Any]] = mapped_column(JSON)
    # sequence number of its `face.added` event
    revision: Mapped[int] = mapped_column(BigInteger)
    portrait_blob_id: Mapped[str | None] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EmbeddingRow(Base):
    """The embedding of an enrolled face, sealed with the master key."""

    __tablename__ = "embeddings"

    face_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True
    )
    dimension: Mapped[int] = mapped_column(Integer)
    # little-endian float32 values, sealed
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ErasureReceiptRow(Base):
    """Proof of an erasure: counts and an id, nothing of the person."""

    __tablename__ = "erasure_receipts"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    person_id: Mapped[str] = mapped_column(_ID, index=True)
    erased_at: Mapped[datetime] = mapped_column(UtcDateTime)
    faces: Mapped[int]
    sightings: Mapped[int]
    pictures: Mapped[int]
    # zero on receipts from before there were alerts
    alerts: Mapped[int] = mapped_column(Integer, server_default="0")
    alert_rules: Mapped[int] = mapped_column(Integer, server_default="0")
    watch_lists: Mapped[int] = mapped_column(Integer, server_default="0")
