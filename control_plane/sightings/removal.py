"""Removing sightings: with their person, with their camera, or because they are old enough."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, select

from control_plane.blobs.removal import queue_removals
from control_plane.database import Transaction
from control_plane.sightings.tables import (
    ErasedSightingRow,
    SightingCandidateRow,
    SightingIdRow,
    SightingLabelRow,
    SightingRow,
    WorkerSessionRow,
)

# ids in a statement; drivers have their bounds
_CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedSightings:
    """Which sightings went, and the pictures that they named, which the caller queues."""

    ids: list[str]
    blob_ids: list[str]

    @property
    def count(self) -> int:
        """How many went."""
        return len(self.ids)


async def forget_person(tx: Transaction, person_id: str) -> RemovedSightings:
    """Remove the sightings that name a person, and the mentions among others' candidates.

    Their ids are remembered: a worker that still follows the same face reports on it again, and
    must not bring back what was erased.
    """
    removed = await _remove(tx, SightingRow.person_id == person_id)
    tx.session.add_all(ErasedSightingRow(id=one, erased_at=tx.now) for one in removed.ids)
    mentions = SightingCandidateRow.person_id == person_id
    await tx.session.execute(delete(SightingCandidateRow).where(mentions))
    await tx.session.execute(
        delete(SightingLabelRow).where(SightingLabelRow.person_id == person_id)
    )
    return removed


async def remove_camera_sightings(tx: Transaction, camera_id: str) -> int:
    """Remove the sightings of a camera and its worker sessions; its pictures are queued too."""
    removed = await _remove(tx, SightingRow.camera_id == camera_id)
    await queue_removals(tx, removed.blob_ids)
    sessions = WorkerSessionRow.camera_id == camera_id
    await tx.session.execute(delete(WorkerSessionRow).where(sessions))
    return removed.count


async def remove_older_than(
    tx: Transaction,
    before: datetime,
    limit: int = 500,
    *,
    started_before: datetime | None = None,
) -> int:
    """Remove up to ``limit`` sightings that ended before a time; its pictures are queued too."""
    old = select(SightingRow.id).where(SightingRow.ended_at < before)
    if started_before is not None:
        old = old.where(SightingRow.started_at < started_before)
    ids = list(await tx.session.scalars(old.order_by(SightingRow.ended_at).limit(limit)))
    removed = await _remove(tx, SightingRow.id.in_(ids))
    await queue_removals(tx, removed.blob_ids)
    return removed.count


async def forget_erased(tx: Transaction, before: datetime) -> None:
    """Forget ids that were erased before a time: no track lasts so long."""
    await tx.session.execute(delete(ErasedSightingRow).where(ErasedSightingRow.erased_at < before))


async def _remove(tx: Transaction, which: ColumnElement[bool]) -> RemovedSightings:
    # one statement: what it returns is what went, whatever others write meanwhile
    removed = await tx.session.execute(
        delete(SightingRow)
        .where(which)
        .returning(SightingRow.id, SightingRow.crop_blob_id, SightingRow.context_blob_id)
        .execution_options(synchronize_session=False)
    )
    rows = removed.all()
    for start in range(0, len(rows), _CHUNK):
        # candidates and labels go with the id by their foreign keys
        ids = [row.id for row in rows[start : start + _CHUNK]]
        await tx.session.execute(
            delete(SightingIdRow)
            .where(SightingIdRow.id.in_(ids))
            .execution_options(synchronize_session=False)
        )
    return RemovedSightings(
        ids=[row.id for row in rows],
        blob_ids=[
            blob_id
            for row in rows
            for blob_id in (row.crop_blob_id, row.context_blob_id)
            if blob_id is not None
        ],
    )
