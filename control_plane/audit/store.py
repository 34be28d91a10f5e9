"""Reading the audit, newest first. Rows come from transactions and from ``trail.py``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select

from control_plane.audit.tables import AuditRow
from control_plane.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows to read; what is empty or None filters nothing."""

    actor: str = ""
    action: str = ""
    object_kind: str = ""
    object_id: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


class AuditStore:
    """Reads the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: AuditFilter, *, before: int | None, limit: int
    ) -> Sequence[AuditRow]:
        """Return rows, newest first, older than the row with the number ``before``."""
        query = select(AuditRow).order_by(AuditRow.sequence.desc()).limit(limit)
        for column, value in (
            (AuditRow.actor, wanted.actor),
            (AuditRow.action, wanted.action),
            (AuditRow.outcome, wanted.outcome),
        ):
            if value:
                query = query.where(column == value)
        kind, id_ = wanted.object_kind, wanted.object_id
        if kind or id_:
            itself, around = [], []
            if kind:
                itself.append(AuditRow.object_kind == kind)
                around.append(AuditRow.within_kind == kind)
            if id_:
                itself.append(AuditRow.object_id == id_)
                around.append(AuditRow.within_id == id_)
            query = query.where(or_(and_(*itself), and_(*around)))
        if wanted.since is not None:
            query = query.where(AuditRow.at >= wanted.since)
        if wanted.until is not None:
            query = query.where(AuditRow.at < wanted.until)
        if before is not None:
            query = query.where(AuditRow.sequence < before)
        async with self._database.read() as session:
            return (await session.scalars(query)).all()
