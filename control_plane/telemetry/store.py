"""Telemetry in the database: groups of batches in, buckets of time out, old samples away.

``write_group`` runs in the transaction that ``group_commit.py`` opens: three look-ups for the whole
group, whatever its size, then all rows at once. ``plan.py`` decides in between.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.runtime.store import camera_not_found
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.tables import Base
from control_plane.telemetry.days import KEPT, drop_before, telemetry_days
from control_plane.telemetry.model import SECOND_US, Batch, Bucket, Range, microseconds
from control_plane.telemetry.plan import Plan, Progress, SampleKey, Standing, plan_group
from control_plane.telemetry.tables import TelemetrySampleRow, TelemetrySessionRow

_MOST: Final = 2**32 - 1
_samples: Final = Base.metadata.tables[TelemetrySampleRow.__tablename__]
_COLUMNS: Final = [
    "camera_id", "observed_us", "id", "zone", "occupancy", "confidence", "entries", "exits",
]  # fmt: skip
_sessions: Final = Base.metadata.tables[TelemetrySessionRow.__tablename__]


async def write_group(tx: Transaction, batches: Sequence[Batch]) -> Plan:
    """Write what the batches bring and return what was decided about each."""
    standing = await _standing(tx.session, batches)
    plan = plan_group(batches, standing)
    await _write_sessions(tx, plan.sessions, standing.sessions)
    if plan.samples:
        rows = [
            (*key, sample.zone, sample.occupancy, sample.confidence, sample.entries, sample.exits)
            for key, sample in plan.samples
        ]
        await tx.insert_rows(_samples, _COLUMNS, rows)
    return plan


async def touch(tx: Transaction, camera_ids: Sequence[str]) -> None:
    """Write down that the workers of these cameras were heard now."""
    await tx.session.execute(
        update(CameraRuntimeRow)
        .where(CameraRuntimeRow.camera_id.in_(camera_ids))
        .values(last_contact=tx.now)
        .execution_options(synchronize_session=False)
    )


async def remove_camera_sessions(tx: Transaction, camera_id: str) -> None:
    """Forget the sessions of a camera; ``TelemetryStore.remove_old`` takes its samples away."""
    of_camera = TelemetrySessionRow.camera_id == camera_id
    await tx.session.execute(delete(TelemetrySessionRow).where(of_camera))


async def _standing(session: AsyncSession, batches: Sequence[Batch]) -> Standing:
    camera_ids = sorted({batch.camera_id for batch in batches})
    epochs = await session.execute(
        select(CameraRuntimeRow.camera_id, CameraRuntimeRow.epoch)
        .where(CameraRuntimeRow.camera_id.in_(camera_ids))
        .order_by(CameraRuntimeRow.camera_id)
        .with_for_update()  # the epochs stay in force until the commit
    )
    session_ids = sorted({b.place.session_id for b in batches if b.place is not None})
    sessions: dict[str, Progress] = {}
    if session_ids:
        found = await session.execute(
            select(_sessions).where(TelemetrySessionRow.session_id.in_(session_ids))
        )
        sessions = {
            row.session_id: Progress(
                camera_id=row.camera_id,
                epoch=row.epoch,
                sequence=row.last_sequence,
                digest=row.last_digest,
            )
            for row in found
        }
    return Standing(
        epochs={row.camera_id: row.epoch for row in epochs},
        sessions=sessions,
        present=await _present(session, batches),
    )


async def _present(session: AsyncSession, batches: Sequence[Batch]) -> set[SampleKey]:
    """Return those of the samples that may be repetitions that are there already."""
    keys = [
        (batch.camera_id, sample.observed_us, id_)
        for batch in batches
        if batch.repeatable
        for id_, sample in zip(batch.ids, batch.samples, strict=True)
    ]
    if not keys:
        return set()
    columns = (TelemetrySampleRow.camera_id, TelemetrySampleRow.observed_us, TelemetrySampleRow.id)
    found = await session.execute(select(*columns).where(tuple_(*columns).in_(keys)))
    return {(row.camera_id, row.observed_us, row.id) for row in found}


async def _write_sessions(
    tx: Transaction, progress: Mapping[str, Progress], known: Mapping[str, Progress]
) -> None:
    values = {
        session_id: {
            "key": session_id,
            "epoch": reached.epoch,
            "last_sequence": reached.sequence,
            "last_digest": reached.digest,
            "updated_at": tx.now,
        }
        for session_id, reached in progress.items()
    }
    advanced = [values[session_id] for session_id in values if session_id in known]
    if advanced:
        await tx.session.execute(
            update(_sessions).where(_sessions.c.session_id == bindparam("key")), advanced
        )
    started: list[dict[str, Any]] = []
    for session_id in values.keys() - known.keys():
        row = values[session_id]
        row["session_id"] = row.pop("key")
        row["camera_id"] = progress[session_id].camera_id
        started.append(row)
    if started:
        await tx.session.execute(insert(_sessions), started)


class TelemetryStore:
    """Reads telemetry, and removes what is old."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._days = telemetry_days(database)

    async def prepare(self, now: datetime) -> None:
        """Have a place for the samples of the days to come."""
        await self._days.prepare(now)

    async def buckets(self, wanted: Range) -> list[Bucket]:
        """Return the buckets of a range that have samples, oldest first.

        Raises:
            NotFound: ``CAMERA_NOT_FOUND``.
        """
        row = TelemetrySampleRow
        length_us = wanted.bucket_s * SECOND_US
        numbered = (
            select(
                (row.observed_us // length_us).label("number"),
                row.occupancy,
                row.entries,
                row.exits,
                row.confidence,
            )
            .where(
                row.camera_id == wanted.camera_id,
                row.observed_us >= wanted.since_us,
                row.observed_us < wanted.until_us,
                row.zone == wanted.zone,
            )
            .subquery()
        )
        of = numbered.c
        summed = (
            select(
                of.number,
                func.count().label("samples"),
                func.min(of.occupancy).label("lowest"),
                func.avg(of.occupancy).label("mean"),
                func.max(of.occupancy).label("highest"),
                func.sum(of.entries).label("entries"),
                func.sum(of.exits).label("exits"),
                func.avg(of.confidence).label("confidence"),
            )
            .group_by(of.number)
            .order_by(of.number)
        )
        async with self._database.read() as session:
            if await session.get(CameraRow, wanted.camera_id) is None:
                raise camera_not_found(wanted.camera_id)
            rows = (await session.execute(summed)).all()
        return [
            Bucket(
                start_us=int(row.number) * length_us,
                samples=int(row.samples),
                occupancy_min=int(row.lowest),
                occupancy_mean=float(row.mean),
                occupancy_max=int(row.highest),
                entries=min(int(row.entries), _MOST),
                exits=min(int(row.exits), _MOST),
                confidence_mean=None if row.confidence is None else float(row.confidence),
            )
            for row in rows
        ]

    async def remove_old(self, before: datetime, *, now: datetime, chunk: int = 5_000) -> int:
        """Remove samples from before a time and those of cameras that are gone; return how many.

        Where days are partitions, a day goes as a whole once all of it is too old, and its samples
        are not counted. All else goes camera by camera, as the samples lie, in short transactions.
        """
        dropped = self._database.has_partitions and before <= now - KEPT
        await drop_before(self._database, self._days, before, now=now)
        removed = 0
        async with self._database.read() as session:
            overdue = await _overdue(session, None if dropped else microseconds(before))
        for camera_id, limit_us in overdue.items():
            while True:
                async with self._database.write() as tx:
                    went = await _remove_chunk(tx.session, camera_id, limit_us, chunk)
                removed += went
                if went < chunk:
                    break
        return removed

    async def forget_sessions(self, before: datetime) -> None:
        """Forget sessions that were last heard before a time."""
        async with self._database.write() as tx:
            await tx.session.execute(
                delete(TelemetrySessionRow).where(TelemetrySessionRow.updated_at < before)
            )


async def _overdue(session: AsyncSession, before_us: int | None) -> dict[str, int | None]:
    """Return the cameras with samples to remove, and from before when; None where all must go.

    Without ``before_us`` only those of cameras that are gone.
    """
    overdue: dict[str, int | None] = {}
    row = TelemetrySampleRow
    last = ""
    while True:
        oldest = (
            await session.execute(
                select(row.camera_id, row.observed_us)
                .where(row.camera_id > last)
                .order_by(row.camera_id, row.observed_us)
                .limit(1)
            )
        ).first()
        if oldest is None:
            return overdue
        last = oldest.camera_id
        if await session.get(CameraRow, last) is None:
            overdue[last] = None
        elif before_us is not None and oldest.observed_us < before_us:
            overdue[last] = before_us


async def _remove_chunk(
    session: AsyncSession, camera_id: str, before_us: int | None, chunk: int
) -> int:
    """Remove the oldest ``chunk`` samples, and those of the same moment as the last of them."""
    row = TelemetrySampleRow
    which = row.camera_id == camera_id
    if before_us is not None:
        which &= row.observed_us < before_us
    newest = await session.scalar(
        select(row.observed_us).where(which).order_by(row.observed_us).offset(chunk - 1).limit(1)
    )
    if newest is not None:
        which &= row.observed_us <= newest
    count = await session.scalar(select(func.count()).select_from(row).where(which))
    await session.execute(delete(row).where(which).execution_options(synchronize_session=False))
    return count or 0
