"""Which tokens were made for people, and which hold no more. No row has a token's text."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base

_SUBJECT = String(200)


class IssuedTokenRow(Base):
    """A token that ``TokenService`` made; forgotten some time after it expired."""

    __tablename__ = "issued_tokens"
    __table_args__ = (Index(None, "issued_at", "id"), Index(None, "expires_at"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    subject: Mapped[str] = mapped_column(_SUBJECT)
    role: Mapped[str] = mapped_column(String(32))
    # of a worker
    camera_id: Mapped[str | None] = mapped_column(String(36))
    # what a person's token is limited to; empty where it is not
    cameras: Mapped[list[str]]
    issued_by: Mapped[str] = mapped_column(_SUBJECT)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class RevokedTokenRow(Base):
    """A token that holds no more, whoever made it; forgotten when it would have expired."""

    __tablename__ = "revoked_tokens"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[str] = mapped_column(_SUBJECT, primary_key=True)
    # empty where nobody did: the camera of a worker is gone
    revoked_by: Mapped[str] = mapped_column(_SUBJECT)
    revoked_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class RevokedSubjectRow(Base):
    """A subject whose tokens from before a time hold no more."""

    __tablename__ = "revoked_subjects"
    __table_args__ = (Index(None, "revoked_at"),)

    subject: Mapped[str] = mapped_column(_SUBJECT, primary_key=True)
    revoked_by: Mapped[str] = mapped_column(_SUBJECT)
    # whole seconds, as tokens tell when they were issued
    issued_before: Mapped[datetime]
    revoked_at: Mapped[datetime]
