"""Tables of the change feed.

``events`` is the feed itself: a row is written in the transaction of the change that it tells of.
``feed`` has one row: which history this is, and how far it was compacted.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, BigSerial


class EventRow(Base):
    """One event. ``payload`` holds the remaining fields of the contract's ``Event`` as JSON.

    The payload keeps no person's name: names are filled in when an event is read, so that a
    renamed person shows the new name and an erased one shows none.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "created_at"),
        Index(None, "person_id"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(BigSerial, primary_key=True, autoincrement=True)
    type: Mapped[str] = mapped_column(String(64))
    camera_id: Mapped[str | None] = mapped_column(String(36))
    person_id: Mapped[str | None] = mapped_column(String(36))
    face_id: Mapped[str | None] = mapped_column(String(36))
    sighting_id: Mapped[str | None] = mapped_column(String(36))
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class FeedRow(Base):
    """The one row about the feed."""

    __tablename__ = "feed"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    feed_id: Mapped[str] = mapped_column(String(36))
    compacted_through: Mapped[int] = mapped_column(BigInteger, default=0)
    # which database the events were written to, where the engine can tell
    history: Mapped[str | None] = mapped_column(String(100))
