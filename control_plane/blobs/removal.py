"""Removing pictures after the rows that named them, whatever happens in between.

Rows go in a transaction, files cannot. So the transaction that removes a row also writes the ids
of its pictures into ``blob_removals``, and a ``BlobRemover`` removes the files of committed entries
before the entries themselves: those of its own process at once, those that a crash left, of
whatever process, at its start and once a minute. Removing a file twice does no harm. Files without
any row, left by a crash before a commit, are swept by age.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, insert, select

from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.tables import BlobRemovalRow
from control_plane.database import Database, Transaction
from control_plane.outages import outliving_outages
from control_plane.pacing import AFTER_START_S
from control_plane.people.tables import FaceRow
from control_plane.sightings.tables import SightingRow
from service_runtime.clock import Clock, wait_at_most
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)
_BATCH: Final = 500
_AGAIN_S: Final = 60.0
_ORPHAN_AGE: Final = timedelta(hours=1)
_SWEEP_EVERY_S: Final = 24 * 3600.0

# the columns that name pictures; what stands in none of them is swept, and in no backup
NAMED_BY: Final = (
    FaceRow.portrait_blob_id,
    SightingRow.crop_blob_id,
    SightingRow.context_blob_id,
)


async def queue_removals(tx: Transaction, blob_ids: Sequence[str]) -> None:
    """Have pictures removed once this transaction is committed."""
    if blob_ids:
        tx.has_removals = True
        rows = [{"blob_id": blob_id, "queued_at": tx.now} for blob_id in blob_ids]
        await tx.session.execute(insert(BlobRemovalRow), rows)


class BlobRemover:
    """Works off ``blob_removals``; ``run`` is its root task."""

    def __init__(self, database: Database, blobs: BlobDirectory, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._draining = asyncio.Lock()

    async def run(self) -> None:
        """Drain whenever there is something to remove, scrub once, sweep orphans once a day.

        Whoever removes rows for good empties the write-ahead log after them; a crash may have come
        first, so that is done once more here.
        """
        async with asyncio.TaskGroup() as tasks:
            for name, work in (
                ("blob-removal", self._drain_always),
                ("blob-sweep", self._sweep_daily),
            ):
                tasks.create_task(outliving_outages(name, work, self._clock), name=name)

    async def drain(self) -> int:
        """Remove the files of every committed entry, then the entries; return how many.

        Raises:
            OSError: A file could not be removed; its entry stays.
        """
        drained = 0
        async with self._draining:
            while True:
                async with self._database.read() as session:
                    query = select(BlobRemovalRow.blob_id).limit(_BATCH)
                    blob_ids = list(await session.scalars(query))
                if not blob_ids:
                    return drained
                await self._blobs.delete(blob_ids)
                async with self._database.write() as tx:
                    done = BlobRemovalRow.blob_id.in_(blob_ids)
                    await tx.session.execute(delete(BlobRemovalRow).where(done))
                drained += len(blob_ids)

    async def sweep(self) -> int:
        """Remove old files that no row names; return how many."""
        older_than = self._clock.now() - _ORPHAN_AGE
        return await self._blobs.sweep(older_than=older_than, named=self._named)

    async def _drain_always(self) -> None:
        while True:
            queued = self._database.removals.next()
            try:
                await self.drain()
            except OSError as error:
                _log.error("blobs.removal_failed", errno=error.errno)
                await self._clock.sleep(_AGAIN_S)
                continue
            await wait_at_most(self._clock, queued, _AGAIN_S)

    async def _sweep_daily(self) -> None:
        await self._clock.sleep(AFTER_START_S)
        await self._database.scrub()
        while True:
            try:
                swept = await self.sweep()
            except OSError as error:
                _log.error("blobs.sweep_failed", errno=error.errno)
            else:
                if swept:
                    _log.info("blobs.swept", files=swept)
            await self._clock.sleep(_SWEEP_EVERY_S)

    async def _named(self, blob_ids: Sequence[str]) -> set[str]:
        named: set[str] = set()
        async with self._database.read() as session:
            for column in (*NAMED_BY, BlobRemovalRow.blob_id):
                found = await session.scalars(select(column).where(column.in_(blob_ids)))
                named.update(blob_id for blob_id in found if blob_id is not None)
        return named
