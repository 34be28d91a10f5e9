"""Two records of one person become one, in one transaction.

The record that goes leaves its faces, its sightings, its labels, its places on watch lists and what
alerts know of it to the one that stays, and nothing of its own behind: as after an erasure, what
events said of the record is emptied; those of sightings and alerts tell of the one that stays. Its
faces keep their ids and come again in the feed with their new person, which is all that an index
needs.
"""

from collections.abc import Sequence

from sqlalchemy import delete, select

from control_plane.alerts import merging as alerts
from control_plane.alerts.cursor import hold_cursor
from control_plane.blobs.removal import BlobRemover, queue_removals
from control_plane.database import Database, Transaction
from control_plane.encryption import Vault
from control_plane.events.merging import give_events
from control_plane.face_values import Embedding
from control_plane.people import model, store
from control_plane.people.model import Person
from control_plane.people.tables import EmbeddingRow, FaceRow, PersonRow
from control_plane.sightings import merging as sightings
from service_runtime.errors import FieldViolation, InvalidArgument


class Merging:
    """Makes one record of two."""

    def __init__(self, database: Database, vault: Vault, remover: BlobRemover) -> None:
        self._database = database
        self._vault = vault
        self._remover = remover

    async def merge(self, person_id: str, other_id: str) -> Person:
        """Make the other record's faces and sightings this one's, and remove the other.

        Raises:
            InvalidArgument: The two are one record.
            NotFound: There is no such person, or not any more.
            FailedPrecondition: Together they have more faces than one person can have.
        """
        if person_id == other_id:
            description = "must be another record"
            raise InvalidArgument(
                "REQUEST_INVALID",
                f"other_person_id {description}.",
                violations=[FieldViolation(field="other_person_id", description=description)],
            )

        async def step(tx: Transaction) -> Person:
            # before people: no sighting of the other record is judged while it goes
            await hold_cursor(tx)
            # in one order, so that two merges do not wait for each other
            rows = {
                one: await store.require_locked(tx.session, one)
                for one in sorted((person_id, other_id))
            }
            stays, goes = rows[person_id], rows[other_id]
            tx.audit_object("person", other_id)
            twins = await self._move_faces(tx, person_id, other_id)
            await sightings.merge_person(tx, gone=other_id, into=person_id)
            await alerts.merge_person(tx, gone=other_id, into=person_id)
            await give_events(tx, gone=other_id, into=person_id)
            _join(stays, goes)
            stays.updated_at = tx.now
            await queue_removals(tx, twins)
            await tx.session.flush()
            await tx.session.delete(goes)
            await tx.session.flush()
            await tx.forget_person(other_id)
            await tx.append_event("person.erased", person_id=other_id, payload={})
            return await store.tell_change(tx, person_id)

        async with self._database.alone("enrolment"):
            merged = await self._database.transact(step)
        await self._remover.drain()
        return merged

    async def _move_faces(self, tx: Transaction, person_id: str, other_id: str) -> list[str]:
        """Give faces their new person; return the pictures of those that it has already."""
        kept = await self._faces(tx, person_id)
        moving = await self._faces(tx, other_id)
        twins = [
            face
            for face, embedding in moving
            if any(
                face.pack_id == other.pack_id and model.is_twin(embedding, known)
                for other, known in kept
            )
        ]
        if len(kept) + len(moving) - len(twins) > model.MOST_FACES:
            raise model.too_many_faces(person_id)
        for face in twins:
            await tx.append_event("face.removed", person_id=person_id, face_id=face.id, payload={})
            await tx.session.execute(delete(EmbeddingRow).where(EmbeddingRow.face_id == face.id))
            await tx.session.delete(face)
        for face, _ in moving:
            if face in twins:
                continue
            face.person_id = person_id
            await tx.append_event(
                "face.added",
                person_id=person_id,
                face_id=face.id,
                payload={"face": store.face_payload(face)},
            )
            face.revision = await tx.number_events()
        return [face.portrait_blob_id for face in twins if face.portrait_blob_id is not None]

    async def _faces(self, tx: Transaction, person_id: str) -> Sequence[tuple[FaceRow, Embedding]]:
        query = (
            select(FaceRow, EmbeddingRow)
            .join(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)
            .where(FaceRow.person_id == person_id)
            .order_by(FaceRow.revision)
        )
        return [
            (face, store.open_embedding(self._vault, face, row))
            for face, row in await tx.session.execute(query)
        ]


def _join(stays: PersonRow, goes: PersonRow) -> None:
    """Keep of the record that goes what the other one does not say."""
    stays.notes = stays.notes or goes.notes
    labels = dict.fromkeys([*stays.labels, *goes.labels])
    stays.labels = list(labels)[: model.MOST_LABELS]
    seen = [one for one in (stays.last_seen_at, goes.last_seen_at) if one is not None]
    stays.last_seen_at = max(seen, default=None)
