"""The one table of the blob store: what must leave it."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, UtcDateTime


class BlobRemovalRow(Base):
    """A picture that no row names any more; written in the transaction that removed the row."""

    __tablename__ = "blob_removals"

    blob_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime)
