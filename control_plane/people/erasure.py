"""Erasure: what is removed, in one transaction, when a face or a person goes.

A person's erasure takes the record, the faces with their embeddings, the sightings that name the
person, every mention among the candidates of other sightings, alerts, memberships of watch lists,
rules about the person alone, and what events said. Pictures are queued in the same transaction and
gone before the receipt is answered; a crash in between leaves their removal to the next start
(``blobs/removal.py``). Then the database is scrubbed, so that as little of a removed row stays
behind as the engine allows: nothing in SQLite's file and log; on PostgreSQL ``engines/postgres.py``
says what may.
"""

import asyncio

from sqlalchemy import delete, select

from control_plane.alerts import removal as alerts
from control_plane.blobs.removal import BlobRemover, queue_removals
from control_plane.database import Database, Transaction
from control_plane.people import store
from control_plane.people.model import ErasureReceipt
from control_plane.people.tables import EmbeddingRow, ErasureReceiptRow, FaceRow
from control_plane.sightings.removal import forget_person
from service_runtime.errors import NotFound
from service_runtime.identifiers import new_id
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


class Erasure:
    """Removes people and faces for good."""

    def __init__(self, database: Database, remover: BlobRemover) -> None:
        self._database = database
        self._remover = remover

    async def erase_person(self, person_id: str) -> ErasureReceipt:
        """Erase a person and return what was removed.

        Raises:
            NotFound: There is no such person, or not any more.
        """
        # a caller who hangs up must not stop it between the rows and what follows them
        return await asyncio.shield(self._erase_person(person_id))

    async def remove_face(self, person_id: str, face_id: str) -> None:
        """Remove an enrolled face, its embedding and its picture.

        Raises:
            NotFound: The person has no such face.
        """
        await asyncio.shield(self._remove_face(person_id, face_id))

    async def _erase_person(self, person_id: str) -> ErasureReceipt:
        async def erase(tx: Transaction) -> ErasureReceipt:
            person = await store.require_locked(tx.session, person_id)
            faces = await _faces_of(tx, person_id)
            for face in faces:
                await tx.append_event(
                    "face.removed", person_id=person_id, face_id=face.id, payload={}
                )
            face_pictures = await _remove_faces(tx, faces)
            sightings = await forget_person(tx, person_id)
            traces = await alerts.forget_person(tx, person_id, sightings.ids)
            pictures = face_pictures + sightings.blob_ids
            await queue_removals(tx, pictures)
            await tx.session.delete(person)
            await tx.session.flush()
            await tx.forget_person(person_id)
            await tx.append_event("person.erased", person_id=person_id, payload={})
            receipt = ErasureReceipt(
                id=new_id(),
                person_id=person_id,
                erased_at=tx.now,
                faces=len(faces),
                sightings=sightings.count,
                pictures=len(pictures),
                alerts=traces.alerts,
                alert_rules=traces.rules,
                watch_lists=traces.watch_lists,
            )
            tx.session.add(_receipt_row(receipt))
            return receipt

        receipt = await self._database.transact(erase)
        await self._finish()
        return receipt

    async def _remove_face(self, person_id: str, face_id: str) -> None:
        async def remove(tx: Transaction) -> None:
            await store.require_locked(tx.session, person_id)
            query = select(FaceRow).where(FaceRow.id == face_id, FaceRow.person_id == person_id)
            face = await tx.session.scalar(query)
            if face is None:
                raise NotFound(
                    "FACE_NOT_FOUND",
                    "This person has no face with this id; list them with"
                    " GET /persons/{person_id}/faces.",
                    person_id=person_id,
                    face_id=face_id,
                )
            await queue_removals(tx, await _remove_faces(tx, [face]))
            await tx.append_event("face.removed", person_id=person_id, face_id=face_id, payload={})

        await self._database.transact(remove)
        await self._finish()

    async def _finish(self) -> None:
        try:
            await self._remover.drain()
        except OSError as error:
            # the entries are durable: the removal task tries again
            _log.error("erasure.pictures_delayed", errno=error.errno)
        if not await self._database.scrub():
            # somebody read for longer than the database waits; the next erasure or start does it
            _log.warning("erasure.log_kept")


async def _faces_of(tx: Transaction, person_id: str) -> list[FaceRow]:
    query = select(FaceRow).where(FaceRow.person_id == person_id).order_by(FaceRow.revision)
    return list(await tx.session.scalars(query))


async def _remove_faces(tx: Transaction, faces: list[FaceRow]) -> list[str]:
    """Remove faces with their embeddings and return the blobs that they named."""
    face_ids = [face.id for face in faces]
    await tx.session.execute(delete(EmbeddingRow).where(EmbeddingRow.face_id.in_(face_ids)))
    await tx.session.execute(delete(FaceRow).where(FaceRow.id.in_(face_ids)))
    return [face.portrait_blob_id for face in faces if face.portrait_blob_id is not None]


def _receipt_row(receipt: ErasureReceipt) -> ErasureReceiptRow:
    return ErasureReceiptRow(
        id=receipt.id,
        person_id=receipt.person_id,
        erased_at=receipt.erased_at,
        faces=receipt.faces,
        sightings=receipt.sightings,
        pictures=receipt.pictures,
        alerts=receipt.alerts,
        alert_rules=receipt.alert_rules,
        watch_lists=receipt.watch_lists,
    )
