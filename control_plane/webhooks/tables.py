"""Tables of webhooks, of what is on its way to them, and of how far the feed was looked through.

A delivery refers to its event by number and holds nothing of it: what is sent is read from the feed
at the time, so that erasing a person leaves nothing to erase here.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base

_ID = String(36)


class WebhookRow(Base):
    """One webhook. Its address is sealed like its secrets: it may hold a token."""

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "created_at", "id"),)

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    sealed_url: Mapped[bytes] = mapped_column(LargeBinary)
    event_types: Mapped[list[str]]
    camera_ids: Mapped[list[str]]
    enabled: Mapped[bool]
    disabled_reason: Mapped[str] = mapped_column(String(16))
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    # the one before, while it signs too
    sealed_old_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    old_secret_until: Mapped[datetime | None]
    # events up to this number are not for it: they were before it
    after_sequence: Mapped[int] = mapped_column(BigInteger)
    # the receiver asked to be left alone until then
    rests_until: Mapped[datetime | None]
    dropped: Mapped[int] = mapped_column(BigInteger)
    # counts changes of the settings; the etag
    generation: Mapped[int] = mapped_column(Integer)
    request_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookDeliveryRow(Base):
    """One event on its way to one webhook.

    No foreign key: the deliveries of a removed webhook go little by little, after it.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        # an event is for a webhook once; tests have no event
        UniqueConstraint("webhook_id", "event_sequence"),
        Index(None, "webhook_id", "state", "due_at"),
        Index(None, "webhook_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    webhook_id: Mapped[str] = mapped_column(_ID)
    event_sequence: Mapped[int | None] = mapped_column(BigInteger)
    event_type: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    # every claim counts one; who records a result proves with it that the claim is still his
    attempts: Mapped[int] = mapped_column(Integer)
    # since it was queued or replayed
    failures: Mapped[int] = mapped_column(Integer)
    last_status: Mapped[int | None] = mapped_column(Integer)
    failure_reason: Mapped[str] = mapped_column(String(32))
    # when to try; while somebody tries, when others may take him for dead
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class WebhookCursorRow(Base):
    """One row: events up to ``sequence`` have become deliveries."""

    __tablename__ = "webhook_cursor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)
