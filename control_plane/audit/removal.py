"""The one way in which audit rows go: by age, and refused calls also by number.

Whoever is refused often enough must not be able to push out what was done, so rows of things done
are bounded by time alone.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, select

from control_plane.audit.tables import REFUSED, AuditRow
from control_plane.database import Database

_CHUNK: Final = 1_000


async def remove_audit_rows(database: Database, *, before: datetime, refusals: int) -> None:
    """Remove rows from before a time, and all but the newest ``refusals`` of refused calls."""
    async with database.read() as session:
        newest_first = select(AuditRow.sequence).where(AuditRow.outcome == REFUSED)
        newest_first = newest_first.order_by(AuditRow.sequence.desc())
        last = await session.scalar(newest_first.offset(refusals).limit(1))
    if last is not None:
        is_surplus = (AuditRow.outcome == REFUSED) & (AuditRow.sequence <= last)
        await _remove(database, is_surplus)
    await _remove(database, AuditRow.at < before)


async def _remove(database: Database, which: ColumnElement[bool]) -> None:
    """Remove rows a little at a time, so that nobody waits long."""
    while True:
        async with database.write() as tx:
            some = select(AuditRow.sequence).where(which).order_by(AuditRow.sequence).limit(_CHUNK)
            gone = await tx.session.scalars(
                delete(AuditRow)
                .where(AuditRow.sequence.in_(some))
                .returning(AuditRow.sequence)
                .execution_options(synchronize_session=False)
            )
            if len(gone.all()) < _CHUNK:
                return
