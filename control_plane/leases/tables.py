"""The table of leases: who may act, and in which term."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base


class LeaseRow(Base):
    """A right that one holder at a time has. Rows stay: a term must never come again."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    term: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]
