"""Taking in what workers report: at least once on the wire, exactly once in the database.

One batch is one transaction: the sightings, their events, who was seen when, and the sequence
number of the batch within its session. So a batch that comes again after a lost acknowledgement
changes nothing, and nothing is acknowledged that is not durable. A report on a sighting that is
there already changes it only with a higher revision. The gateway calls this; it has checked that
the token is for this camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.removal import queue_removals
from control_plane.database import Database, Transaction
from control_plane.encryption import Vault
from control_plane.people import store as people
from control_plane.runtime.store import require_epoch
from control_plane.sightings.mapping import event_payload, report_of
from control_plane.sightings.model import MATCH, SightingReport
from control_plane.sightings.store import sighting_of
from control_plane.sightings.tables import SightingCandidateRow, SightingRow, WorkerSessionRow
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.errors import PermissionDenied, ServiceError
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who reports: the run of a worker, for a camera, in an epoch."""

    camera_id: str
    epoch: int
    session_id: str


class SightingIntake:
    """Writes batches of sightings."""

    def __init__(self, database: Database, blobs: BlobDirectory, vault: Vault) -> None:
        self._database = database
        self._blobs = blobs
        self._vault = vault

    async def last_sequence(self, session_id: str) -> int:
        """Return the last batch of a session that is durable; 0 where none is."""
        async with self._database.read() as session:
            row = await session.get(WorkerSessionRow, session_id)
            return row.last_sequence if row is not None else 0

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
        done = await self.last_sequence(reporter.session_id)
        reports = (
            [report_of(message) for message in batch.sightings] if batch.sequence > done else []
        )
        # files cannot join the transaction: they are there before it, and go if no row names them
        pictures: dict[int, str] = {}
        try:
            for place, report in enumerate(reports):
                if report.picture is not None:
                    pictures[place] = await self._blobs.put(report.picture)
            async with self._database.write() as tx:
                used = await self._apply(tx, reporter, batch.sequence, reports, pictures)
        except (ServiceError, SQLAlchemyError, OSError):
            await self._blobs.delete(list(pictures.values()))
            raise
        await self._blobs.delete([blob for blob in pictures.values() if blob not in used])

    async def _apply(
        self,
        tx: Transaction,
        reporter: Reporter,
        sequence: int,
        reports: Sequence[SightingReport],
        pictures: dict[int, str],
    ) -> set[str]:
        """Write a batch and return the pictures that its rows name now."""
        await require_epoch(tx.session, reporter.camera_id, reporter.epoch)
        progress = await _progress(tx, reporter)
        if sequence <= progress.last_sequence:
            return set()
        progress.last_sequence = sequence
        progress.updated_at = tx.now
        present = await people.names(tx.session, set().union(*(r.people for r in reports)))
        found = await tx.session.scalars(
            select(SightingRow).where(SightingRow.id.in_([report.id for report in reports]))
        )
        rows = {row.id: row for row in found}
        before = {row.id: row.crop_blob_id for row in rows.values()}
        for place, report in enumerate(reports):
            known = report.with_people(present.keys())
            await self._write(tx, reporter, rows, known, pictures.get(place))
        named = {row.id: row.crop_blob_id for row in rows.values()}
        replaced = [blob for id_, blob in before.items() if blob is not None and named[id_] != blob]
        await queue_removals(tx, replaced)
        return {blob for blob in named.values() if blob is not None}

    async def _write(
        self,
        tx: Transaction,
        reporter: Reporter,
        rows: dict[str, SightingRow],
        report: SightingReport,
        picture: str | None,
    ) -> None:
        """Write one report, where it is newer than what is there, with its event."""
        row = rows.get(report.id)
        created = row is None
        if row is None:
            row = rows[report.id] = self._new_row(tx, report, reporter)
        elif not _is_newer(report, row, reporter):
            return
        self._fill(tx, row, report, reporter)
        if picture is not None:
            row.crop_blob_id = picture
        await _write_candidates(tx, row, report)
        await tx.append_event(
            "sighting.created" if created else "sighting.updated",
            camera_id=row.camera_id,
            person_id=row.person_id,
            sighting_id=row.id,
            payload={"sighting": event_payload(sighting_of(row))},
        )
        if report.decision == MATCH and report.person_id is not None:
            # a camera's clock may run ahead of ours
            await people.mark_seen(tx, report.person_id, min(report.ended_at, tx.now))

    def _new_row(self, tx: Transaction, report: SightingReport, reporter: Reporter) -> SightingRow:
        row = SightingRow(
            id=report.id,
            camera_id=reporter.camera_id,
            unknown_id=None,
            crop_blob_id=None,
            # never changed after: lists are paged by it
            started_at=report.started_at,
            ended_at=report.ended_at,
            created_at=tx.now,
        )
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


async def _write_candidates(tx: Transaction, row: SightingRow, report: SightingReport) -> None:
    await tx.session.flush()
    old = SightingCandidateRow.sighting_id == row.id
    await tx.session.execute(delete(SightingCandidateRow).where(old))
    tx.session.add_all(
        SightingCandidateRow(
            sighting_id=row.id,
            rank=rank,
            person_id=candidate.person_id,
            face_id=candidate.face_id,
            score=candidate.score,
        )
        for rank, candidate in enumerate(report.candidates)
    )
