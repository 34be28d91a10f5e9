"""The table of what is observed of each camera; frequently written, so apart from its wish."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base


class CameraRuntimeRow(Base):
    """What is observed of a camera; there is one row for each, from its registration on."""

    __tablename__ = "camera_runtime"

    camera_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True
    )
    pod_name: Mapped[str] = mapped_column(String(253), default="")
    worker_status: Mapped[str] = mapped_column(String(16), default="stopped")
    health_status: Mapped[str] = mapped_column(String(16), default="unknown")
    failure_reason: Mapped[str] = mapped_column(String(32), default="none")
    error_count: Mapped[int] = mapped_column(BigInteger, default=0)
    next_retry_at: Mapped[datetime | None]
    observed_generation: Mapped[int] = mapped_column(BigInteger, default=0)
    # what the worker said of its frames a second, memory and processor time
    health_info: Mapped[dict[str, Any]] = mapped_column(default=dict)
    last_heartbeat: Mapped[datetime | None]
    last_contact: Mapped[datetime | None]
    # the newest of: a heartbeat, a change that the manager reported; health is unknown long after
    last_sign_at: Mapped[datetime | None]
    # the newest `worker.heartbeat` event
    announced_at: Mapped[datetime | None]
    # the assignment in force, and the one token that may report in it
    epoch: Mapped[int] = mapped_column(Integer, default=0)
    token_id: Mapped[str | None] = mapped_column(String(64))
    # the epoch in which a worker was heard last
    heard_epoch: Mapped[int] = mapped_column(Integer, default=0)
    retry_counter: Mapped[int] = mapped_column(Integer, default=0)
