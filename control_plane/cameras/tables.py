"""The table of cameras: what people want of each."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, sorted_text


class CameraRow(Base):
    """A camera as it is registered."""

    __tablename__ = "cameras"
    __table_args__ = (Index(None, "name_key", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    # the name, folded: what lists are sorted by, whatever the case
    name_key: Mapped[str] = mapped_column(sorted_text(600))
    # the connection string, sealed with the master key; only the gateway opens it
    connection_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    connection_scheme: Mapped[str] = mapped_column(String(16))
    desired_state: Mapped[str] = mapped_column(String(16))
    location: Mapped[str] = mapped_column(String(500))
    description: Mapped[str] = mapped_column(String(2000))
    # `metadata` is SQLAlchemy's own word on a mapped class
    extra: Mapped[dict[str, Any]] = mapped_column("metadata")
    zone_config: Mapped[dict[str, Any]]
    # as it was sent: defaults are filled in for the worker, so that the site's pack may change
    model_settings: Mapped[dict[str, Any]] = mapped_column("model_config")
    # counts every change; the etag
    version: Mapped[int] = mapped_column(Integer)
    # counts the changes that a worker must follow
    generation: Mapped[int] = mapped_column(Integer)
    # a repeated request finds the camera that it made
    request_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    # digest of that request, sealed, because the request holds a password
    request_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
