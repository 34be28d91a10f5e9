"""The rows of keys. Nothing here opens without the master key, which stands in a file elsewhere."""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, BigSerial

PUBLISHED, SEALING, SIGNING, RETIRED = "published", "sealing", "signing", "retired"


class DataKeyRow(Base):
    """A key that seals values: ``published`` before it is used, ``sealing``, then ``retired``."""

    __tablename__ = "data_keys"
    # an id is never given again: values name their key by it
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigSerial, primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16))
    # which master key it is wrapped with, and the key so wrapped
    master_id: Mapped[str] = mapped_column(String(32))
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class SigningKeyRow(Base):
    """A key that signs tokens: ``published``, ``signing``, then ``retired`` until ``ends_at``."""

    __tablename__ = "signing_keys"

    # RFC 7638 thumbprint, the ``kid`` of its tokens
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    # the 32 bytes of an Ed25519 private key, sealed
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]
    # the latest end that was promised to a token with a long life
    promised_until: Mapped[datetime | None]
    # a retired key's: when its last token has ended
    ends_at: Mapped[datetime | None]
