"""The days of sightings, each a partition where the database has partitions.

The day is that of a sighting's start, which never changes. A day goes as a whole, with the ids and
candidates of its sightings, in one transaction that keeps everybody else out of the table: at no
moment can anybody see half of it, and erasure of a person finds all that there is.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, exists, select

from control_plane.blobs.removal import queue_removals
from control_plane.database import Database, Transaction
from control_plane.days import Days, day_of, start_of
from control_plane.engines.port import DatabaseBusy
from control_plane.sightings.tables import SightingIdRow, SightingRow
from control_plane.tables import Base
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)
SIGHTINGS: Final = Base.metadata.tables[SightingRow.__tablename__]
_CHUNK: Final = 5_000


def sighting_days(database: Database) -> Days:
    """Return which days of sightings have a partition."""
    return Days(database, SIGHTINGS, lambda day: f"'{start_of(day):%Y-%m-%d} 00:00:00+00'")


async def drop_before(database: Database, days: Days, before: datetime) -> int:
    """Drop the days whose sightings all ended before a moment; return how many went."""
    gone = 0
    for name in await days.before(day_of(before)):
        try:
            async with database.write() as tx:
                gone += await _drop(tx, name, before)
        except DatabaseBusy:
            _log.warning("sightings.day_in_use", partition=name)
            break  # the next round goes on here
    return gone


async def _drop(tx: Transaction, name: str, before: datetime) -> bool:
    day = datetime.strptime(f"{name[-8:]}+0000", "%Y%m%d%z")
    of_the_day = (SightingRow.started_at >= day) & (
        SightingRow.started_at < start_of(day_of(day) + 1)
    )
    await tx.hold_table(SIGHTINGS)
    if name not in await tx.partition_names(SIGHTINGS):
        return False  # another control plane was first
    lasts = select(exists().where(of_the_day, SightingRow.ended_at >= before))
    if await tx.session.scalar(lasts):
        return False
    pictures = select(SightingRow.crop_blob_id, SightingRow.context_blob_id).where(of_the_day)
    blob_ids = [
        blob for row in await tx.session.execute(pictures) for blob in row if blob is not None
    ]
    for start in range(0, len(blob_ids), _CHUNK):
        await queue_removals(tx, blob_ids[start : start + _CHUNK])
    # candidates and labels go with the id by their foreign keys
    ids = select(SightingRow.id).where(of_the_day)
    await tx.session.execute(
        delete(SightingIdRow)
        .where(SightingIdRow.id.in_(ids))
        .execution_options(synchronize_session=False)
    )
    await tx.drop_partition(SIGHTINGS, name)
    return True
