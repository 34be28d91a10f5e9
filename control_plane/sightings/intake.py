"""Taking in what workers report: at least once on the wire, exactly once in the database.

One batch is one transaction: the sightings, their events, who was seen when, and the sequence
number of the batch within its session. So a batch that comes again after a lost acknowledgement
changes nothing, and nothing is acknowledged that is not durable. A report on a sighting that is
there already changes it only with a higher revision, and one on a sighting that was erased with its
person changes nothing. The gateway calls this; it has checked that
the token is for this camera.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.removal import queue_removals
from control_plane.database import Database, Transaction
from control_plane.days import day_of
from control_plane.encryption import Vault
from control_plane.engines.port import CommitUnknown
from control_plane.people import store as people
from control_plane.runtime.store import hold_epoch
from control_plane.sightings.days import sighting_days
from control_plane.sightings.mapping import event_payload, report_of
from control_plane.sightings.model import MATCH, PictureOf, SightingReport
from control_plane.sightings.store import sighting_of
from control_plane.sightings.tables import (
    ErasedSightingRow,
    SightingCandidateRow,
    SightingIdRow,
    SightingLabelRow,
    SightingRow,
    WorkerSessionRow,
)
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.errors import PermissionDenied, ServiceError
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

Pictures = dict[tuple[str, PictureOf], str]
"""The blob of each picture, by its sighting and what it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reports: the run of a worker, for a camera, in an epoch."""

    camera_id: str
    epoch: int
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A row that a report made or changed."""

    row: SightingRow
    report: SightingReport
    created: bool


class SightingIntake:
    """Writes batches of sightings."""

    def __init__(self, database: Database, blobs: BlobDirectory, vault: Vault) -> None:
        self._database = database
        self._blobs = blobs
        self._vault = vault
        self._days = sighting_days(database)

    async def record(
        self, camera_id: str, epoch: int, session_id: str, batch: gateway_pb2.SightingBatch
    ) -> None:
        """Write a batch; when this returns, it is durable and can be acknowledged.

        Raises:
            NotFound: The camera is gone.
            FailedPrecondition: ``STALE_EPOCH``: another worker has the camera.
            PermissionDenied: The session is another camera's.
            InvalidArgument: A report is malformed.
            OSError: A picture could not be written; nothing was recorded.
        """
        reporter = Reporter(camera_id=camera_id, epoch=epoch, session_id=session_id.lower())
        reports = _newest(report_of(message) for message in batch.sightings)
        # files cannot join the transaction: they are there before it, and go if no row names them
        pictures = await self._keep_pictures(reports)
        try:
            await self._require_days(reports)
            used = await self._database.transact(
                lambda tx: self._apply(tx, reporter, batch.sequence, reports, pictures)
            )
        except CommitUnknown:
            # rows may name the pictures; if none does, the sweep removes them
            raise
        except (ServiceError, SQLAlchemyError, OSError):
            self._days.forget()
            await self._blobs.delete(list(pictures.values()))
            raise
        await self._blobs.delete([blob for blob in pictures.values() if blob not in used])

    async def _require_days(self, reports: Sequence[SightingReport]) -> None:
        """Have a place for what starts in these reports, and for what is put off to now."""
        now = self._database.now()
        today = day_of(now)
        days = {day_of(min(report.started_at, now)) for report in reports}
        await self._days.require(days | {today, today + 1})

    async def _keep_pictures(self, reports: Sequence[SightingReport]) -> Pictures:
        """Put what the reports show into the blob store."""
        pictures = {
            (report.id, of): data for report in reports for of, data in report.pictures.items()
        }
        outcomes = await asyncio.gather(
            *(self._blobs.put(picture) for picture in pictures.values()), return_exceptions=True
        )
        blobs: Pictures = {}
        failed: BaseException | None = None
        for key, outcome in zip(pictures, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                failed = outcome
            else:
                blobs[key] = outcome
        if failed is not None:
            await self._blobs.delete(list(blobs.values()))
            raise failed
        return blobs

    async def _apply(
        self,
        tx: Transaction,
        reporter: Reporter,
        sequence: int,
        reports: Sequence[SightingReport],
        pictures: Pictures,
    ) -> set[str]:
        """Write a batch and return the pictures that its rows name now."""
        await hold_epoch(tx.session, reporter.camera_id, reporter.epoch)
        progress = await _progress(tx, reporter)
        if sequence <= progress.last_sequence:
            return set()
        progress.last_sequence = sequence
        progress.updated_at = tx.now
        present = await people.held(tx, set().union(*(r.people for r in reports)))
        ids = [report.id for report in reports]
        found = await tx.session.scalars(
            select(SightingRow)
            .where(SightingRow.id.in_(ids))
            .order_by(SightingRow.id)
            .with_for_update()
        )
        known = {row.id: row for row in found}
        erased = set(
            await tx.session.scalars(
                select(ErasedSightingRow.id).where(ErasedSightingRow.id.in_(ids))
            )
        )
        labelled = set(
            await tx.session.scalars(
                select(SightingLabelRow.sighting_id).where(SightingLabelRow.sighting_id.in_(ids))
            )
        )
        changes: list[_Change] = []
        replaced: list[str] = []
        for reported in reports:
            row = known.get(reported.id)
            if reported.id in erased:
                continue  # acknowledged and not kept: its person was erased with it
            if row is not None and not _is_newer(reported, row, reporter):
                continue
            report = reported.with_people(present).not_after(tx.now)
            if row is not None and row.id in labelled:
                report = report.decided(decision=row.decision, person_id=row.person_id)
            created = row is None
            if row is None:
                row = self._new_row(tx, report, reporter)
            self._fill(tx, row, report, reporter)
            replaced += _show(row, pictures)
            changes.append(_Change(row=row, report=report, created=created))
        await _write_candidates(tx, changes)
        await queue_removals(tx, replaced)
        await _append_events(tx, changes)
        await _mark_seen(tx, changes)
        shown = {(change.row.crop_blob_id, change.row.context_blob_id) for change in changes}
        return {blob_id for both in shown for blob_id in both if blob_id is not None}

    def _new_row(self, tx: Transaction, report: SightingReport, reporter: Reporter) -> SightingRow:
        row = SightingRow(
            id=report.id,
            camera_id=reporter.camera_id,
            unknown_id=None,
            crop_blob_id=None,
            context_blob_id=None,
            # never changed after: lists are paged by it
            started_at=report.started_at,
            ended_at=report.ended_at,
            created_at=tx.now,
        )
        tx.session.add(SightingIdRow(id=report.id))
        tx.session.add(row)
        return row

    def _fill(
        self, tx: Transaction, row: SightingRow, report: SightingReport, reporter: Reporter
    ) -> None:
        row.session_id = reporter.session_id
        row.epoch = reporter.epoch
        row.track_id = report.track_id
        row.revision = report.revision
        row.decision = report.decision
        row.person_id = report.person_id
        row.score = report.score
        row.threshold = report.threshold
        row.margin = report.margin
        row.ended_at = max(row.ended_at, report.ended_at)
        row.frames = report.frames
        row.box = report.box.to_json()
        row.quality = report.quality.to_json()
        row.evidence = report.evidence.to_json()
        row.pack_id = report.embedding.pack_id
        row.dimension = report.embedding.dimension
        row.embedding = report.embedding.seal(
            self._vault, table="sightings", column="embedding", row_id=row.id
        )
        row.updated_at = tx.now


def _show(row: SightingRow, pictures: Pictures) -> list[str]:
    """Let a sighting show its new pictures; returns those that it shows no more."""
    crop, context = pictures.get((row.id, "face")), pictures.get((row.id, "context"))
    if crop is None and context is None:
        return []
    # both are of one shot: an old context does not stay beside a new face, nor the other way round
    before = (row.crop_blob_id, row.context_blob_id)
    row.crop_blob_id, row.context_blob_id = crop, context
    return [blob_id for blob_id in before if blob_id is not None]


async def _progress(tx: Transaction, reporter: Reporter) -> WorkerSessionRow:
    """Return how far the session is; a new one ends those of earlier epochs."""
    row = await tx.session.get(WorkerSessionRow, reporter.session_id)
    if row is None:
        earlier = (WorkerSessionRow.camera_id == reporter.camera_id) & (
            WorkerSessionRow.epoch < reporter.epoch
        )
        await tx.session.execute(delete(WorkerSessionRow).where(earlier))
        row = WorkerSessionRow(
            session_id=reporter.session_id,
            camera_id=reporter.camera_id,
            epoch=reporter.epoch,
            last_sequence=0,
            updated_at=tx.now,
        )
        tx.session.add(row)
    if row.camera_id != reporter.camera_id:
        raise PermissionDenied("SESSION_OF_ANOTHER_CAMERA", "Open a session of your own camera.")
    row.epoch = reporter.epoch
    return row


def _is_newer(report: SightingReport, row: SightingRow, reporter: Reporter) -> bool:
    if row.camera_id != reporter.camera_id:
        # left out, not refused: a worker that sent it would send the batch for ever
        _log.warning("sighting.of_another_camera", camera_id=reporter.camera_id, id=report.id)
        return False
    return report.revision > row.revision


async def _write_candidates(tx: Transaction, changes: Sequence[_Change]) -> None:
    await tx.session.flush()
    updated = [change.row.id for change in changes if not change.created]
    if updated:
        old = SightingCandidateRow.sighting_id.in_(updated)
        await tx.session.execute(delete(SightingCandidateRow).where(old))
    tx.session.add_all(
        SightingCandidateRow(
            sighting_id=change.row.id,
            rank=rank,
            person_id=candidate.person_id,
            face_id=candidate.face_id,
            score=candidate.score,
        )
        for change in changes
        for rank, candidate in enumerate(change.report.candidates)
    )


async def _append_events(tx: Transaction, changes: Sequence[_Change]) -> None:
    for change in changes:
        await tx.append_event(
            "sighting.created" if change.created else "sighting.updated",
            camera_id=change.row.camera_id,
            person_id=change.row.person_id,
            sighting_id=change.row.id,
            payload={"sighting": event_payload(sighting_of(change.row))},
        )


async def _mark_seen(tx: Transaction, changes: Sequence[_Change]) -> None:
    seen: dict[str, datetime] = {}
    for report in (change.report for change in changes):
        if report.decision == MATCH and report.person_id is not None:
            ended_at = report.ended_at
            seen[report.person_id] = max(seen.get(report.person_id, ended_at), ended_at)
    for person_id, seen_at in sorted(seen.items()):
        await people.mark_seen(tx, person_id, seen_at)


def _newest(reports: Iterable[SightingReport]) -> list[SightingReport]:
    """Return the report of each sighting that has the highest revision."""
    newest: dict[str, SightingReport] = {}
    for report in reports:
        if report.id not in newest or report.revision > newest[report.id].revision:
            newest[report.id] = report
    return list(newest.values())
