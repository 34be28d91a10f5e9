"""Keeping the change feed bounded: by age and by number of events.

What is removed is always the oldest part, and how far is written down in the same transaction, so
that a watcher who still needs it is told that its token expired instead of missing events silently.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select

from control_plane.database import Database
from control_plane.events.tables import EventRow, FeedRow

_CHUNK: Final = 5_000


async def compact(database: Database, *, older_than: timedelta, keep: int) -> int:
    """Remove events that are too old or too many; return how many went.

    Works in short transactions, so that nobody waits long for the writer's place.
    """
    removed = 0
    while True:
        async with database.write() as tx:
            # two replicas must not write down different ends
            feed = (await tx.session.scalars(select(FeedRow).with_for_update())).one()
            newest = await tx.session.scalar(select(func.max(EventRow.sequence)))
            oldest = await tx.session.scalar(select(func.min(EventRow.sequence)))
            if newest is None or oldest is None:
                return removed
            outdated = await tx.session.scalar(
                select(func.max(EventRow.sequence)).where(EventRow.created_at < tx.now - older_than)
            )
            last = max(outdated or 0, newest - keep)
            if last < oldest:
                return removed
            through = min(last, oldest + _CHUNK - 1)
            gone = await tx.session.scalars(
                delete(EventRow).where(EventRow.sequence <= through).returning(EventRow.sequence)
            )
            removed += len(gone.all())
            feed.compacted_through = through
