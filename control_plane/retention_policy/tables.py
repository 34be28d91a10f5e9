"""The one row of what administrators have set; what is empty goes by the settings."""

from datetime import datetime

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base


class RetentionPolicyRow(Base):
    """Days that things are kept."""

    __tablename__ = "retention_policy"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_days: Mapped[float | None]
    sighting_days: Mapped[float | None]
    telemetry_days: Mapped[float | None]
    alert_days: Mapped[float | None]
    webhook_days: Mapped[float | None]
    audit_days: Mapped[float | None]
    # counts every change; the etag
    version: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[datetime]
