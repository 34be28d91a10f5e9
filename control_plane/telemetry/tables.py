"""The rows of telemetry, and how far each reporter's session is.

Samples are kept in the order in which they are asked for, by camera and time. A moment is a number
of microseconds since 1970: buckets of time are then one division, in any database, and a row is
small. Its ``id`` follows from the session and place of a sample, so that the key itself refuses to
hold a sample twice. On PostgreSQL each day is a partition of its own (``days.py``): the day follows
from the moment, which is part of the key.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base

_ID = String(36)


class TelemetrySampleRow(Base):
    """How many people a camera saw at a moment."""

    __tablename__ = "telemetry_samples"
    __table_args__ = (
        {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (observed_us)"},
    )

    # no foreign key: a deleted camera's samples go little by little, after the camera
    camera_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    observed_us: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    # empty is the whole picture
    zone: Mapped[str] = mapped_column(String(200))
    occupancy: Mapped[int] = mapped_column(Integer)
    confidence: Mapped[float | None]
    entries: Mapped[int] = mapped_column(Integer)
    exits: Mapped[int] = mapped_column(Integer)


class TelemetrySessionRow(Base):
    """How far one run of a reporter is: batches up to ``last_sequence`` are durable."""

    __tablename__ = "telemetry_sessions"

    session_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    camera_id: Mapped[str] = mapped_column(_ID, index=True)
    epoch: Mapped[int] = mapped_column(Integer)
    last_sequence: Mapped[int] = mapped_column(BigInteger)
    # of the batch with that number: the same number with other content is a mistake
    last_digest: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime] = mapped_column(index=True)
