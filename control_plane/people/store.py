"""People and faces in the database; each method that changes something is one transaction.

Removal is in ``erasure.py``. Functions that take a session serve other topics inside their own
transactions: names for sightings, and whether a person is still there.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Select, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database, Transaction
from control_plane.encryption import Vault, VaultError
from control_plane.face_values import Embedding, Quality
from control_plane.people import model
from control_plane.people.model import Face, Person, PersonChange
from control_plane.people.tables import EmbeddingRow, FaceRow, PersonRow
from service_runtime.errors import AlreadyExists
from service_runtime.identifiers import new_id
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)
Step: TypeAlias = Callable[[Transaction], Awaitable[None]]
"""Something more that one transaction does."""


class PersonStore:
    """Keeps people and their faces."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def create(
        self, *, name: str, notes: str, labels: tuple[str, ...], request_id: str | None
    ) -> Person:
        """Register a person, or return the one that a request with this id made.

        Raises:
            AlreadyExists: The id was used for another request.
        """
        digest = model.request_digest(name, notes, labels)
        folded = model.fold(name)

        async def register(tx: Transaction) -> Person:
            if request_id is not None:
                query = select(PersonRow).where(PersonRow.request_id == request_id)
                made = await tx.session.scalar(query)
                if made is not None:
                    tx.audit_object("person", made.id)
                    return await _same_request(tx.session, made, digest)
            row = PersonRow(
                id=new_id(),
                name=name,
                name_key=folded,
                sort_key=model.sort_key(folded),
                notes=notes,
                labels=list(labels),
                request_id=request_id,
                request_digest=digest if request_id is not None else None,
                last_seen_at=None,
                created_at=tx.now,
                updated_at=tx.now,
            )
            tx.session.add(row)
            tx.audit_object("person", row.id)
            person = _person(row, 0)
            await _append(tx, "person.created", person)
            return person

        return await self._database.transact(register)

    async def get(self, person_id: str) -> Person:
        """Return a person.

        Raises:
            NotFound: There is none.
        """
        async with self._database.read() as session:
            return await _read(session, person_id)

    async def list_page(
        self, *, name: str, after: tuple[str, str] | None, limit: int
    ) -> Sequence[tuple[tuple[str, str], Person]]:
        """Return people by name, each with the key that the next page starts after."""
        query = _with_counts().order_by(PersonRow.sort_key, PersonRow.id).limit(limit)
        if name:
            query = query.where(PersonRow.name_key.contains(model.fold(name), autoescape=True))
        if after is not None:
            query = query.where(tuple_(PersonRow.sort_key, PersonRow.id) > after)
        async with self._database.read() as session:
            rows = await session.execute(query)
            return [((row.sort_key, row.id), _person(row, count)) for row, count in rows]

    async def update(self, person_id: str, change: PersonChange) -> Person:
        """Change what the change names.

        Raises:
            NotFound: There is no such person.
            Aborted: ``ETAG_MISMATCH``: somebody changed the person meanwhile.
        """

        async def change_it(tx: Transaction) -> Person:
            row = await require_locked(tx.session, person_id)
            if change.etag and change.etag != _person(row, 0).etag:
                raise model.etag_mismatch(person_id)
            if change.name is not None:
                row.name = change.name
                row.name_key = model.fold(change.name)
                row.sort_key = model.sort_key(row.name_key)
            if change.notes is not None:
                row.notes = change.notes
            if change.labels is not None:
                row.labels = list(change.labels)
            if tx.session.is_modified(row):
                row.updated_at = tx.now
                person = _person(row, await _count_faces(tx.session, person_id))
                await _append(tx, "person.updated", person)
            return await _read(tx.session, person_id)

        return await self._database.transact(change_it)

    async def add_face(
        self,
        person_id: str,
        *,
        quality: Quality,
        embedding: Embedding,
        portrait_blob_id: str | None,
        also: Step | None = None,
    ) -> Face:
        """Enrol a face: row, sealed embedding and event in one transaction.

        Args:
            person_id: The person.
            quality: How usable the face is.
            embedding: What it is found by.
            portrait_blob_id: Its picture.
            also: What else happens in the transaction.

        Raises:
            NotFound: The person is not there, or not any more.
            FailedPrecondition: The person has as many faces as one can have.
            AlreadyExists: The very photograph is enrolled already.
        """

        async def enrol(tx: Transaction) -> Face:
            await require_locked(tx.session, person_id)
            if await _count_faces(tx.session, person_id) >= model.MOST_FACES:
                raise model.too_many_faces(person_id)
            await self._refuse_twin(tx.session, person_id, embedding)
            face_id = new_id()
            tx.audit_object("face", face_id)
            row = FaceRow(
                id=face_id,
                person_id=person_id,
                pack_id=embedding.pack_id,
                quality=quality.to_json(),
                portrait_blob_id=portrait_blob_id,
                created_at=tx.now,
            )
            if also is not None:
                await also(tx)
            await tx.append_event(
                "face.added",
                person_id=person_id,
                face_id=face_id,
                payload={"face": face_payload(row)},
            )
            row.revision = await tx.number_events()
            tx.session.add(row)
            await tx.session.flush()
            sealed = embedding.seal(
                self._vault, table="embeddings", column="sealed", row_id=face_id
            )
            tx.session.add(
                EmbeddingRow(face_id=face_id, dimension=embedding.dimension, sealed=sealed)
            )
            return _face(row)

        return await self._database.transact(enrol)

    def deciding(self) -> AbstractAsyncContextManager[None]:
        """Hold the place of the one enrolment that is being decided."""
        return self._database.alone("enrolment")

    async def faces(self, person_id: str) -> list[Face]:
        """Return the faces of a person, oldest first.

        Raises:
            NotFound: There is no such person.
        """
        async with self._database.read() as session:
            await require(session, person_id)
            query = select(FaceRow).where(FaceRow.person_id == person_id).order_by(FaceRow.revision)
            return [_face(row) for row in await session.scalars(query)]

    async def enrolled_after(
        self, face_id: str, *, pack_id: str, limit: int
    ) -> list[tuple[Face, Embedding | None]]:
        """Return enrolled faces of a pack in the order of their ids, after ``face_id``.

        An embedding that does not open is None, here and below.
        """
        query = _with_embeddings().where(FaceRow.pack_id == pack_id, FaceRow.id > face_id)
        return await self._enrolled(query.order_by(FaceRow.id).limit(limit))

    async def enrolled(
        self, face_ids: Collection[str], *, pack_id: str
    ) -> list[tuple[Face, Embedding | None]]:
        """Return those of the faces that are there and of the pack."""
        query = _with_embeddings().where(FaceRow.pack_id == pack_id, FaceRow.id.in_(face_ids))
        return await self._enrolled(query.order_by(FaceRow.revision))

    async def newest_revision(self, pack_id: str) -> int:
        """Return the revision of the pack's face that was enrolled last; 0 where there is none."""
        query = select(func.max(FaceRow.revision)).where(FaceRow.pack_id == pack_id)
        async with self._database.read() as session:
            return await session.scalar(query) or 0

    async def holders(self, face_ids: Collection[str]) -> dict[str, Person]:
        """Return the person of each of the faces that are still there."""
        query = (
            select(FaceRow.id, PersonRow)
            .join(PersonRow, PersonRow.id == FaceRow.person_id)
            .where(FaceRow.id.in_(face_ids))
        )
        async with self._database.read() as session:
            return {face_id: _person(row, 0) for face_id, row in await session.execute(query)}

    async def _refuse_twin(
        self, session: AsyncSession, person_id: str, embedding: Embedding
    ) -> None:
        query = _with_embeddings().where(
            FaceRow.person_id == person_id, FaceRow.pack_id == embedding.pack_id
        )
        for face, row in await session.execute(query):
            other = self._opened(face, row)
            if other is not None and model.is_twin(other, embedding):
                raise AlreadyExists(
                    "FACE_ALREADY_ENROLLED",
                    "This photograph is enrolled already; add another one of the person.",
                    person_id=person_id,
                    face_id=face.id,
                )

    async def _enrolled(
        self, query: Select[FaceRow, EmbeddingRow]
    ) -> list[tuple[Face, Embedding | None]]:
        async with self._database.read() as session:
            return [
                (_face(face), self._opened(face, row)) for face, row in await session.execute(query)
            ]

    def _opened(self, face: FaceRow, row: EmbeddingRow) -> Embedding | None:
        """Open an embedding; one that was damaged must not keep the others from being found."""
        try:
            return open_embedding(self._vault, face, row)
        except VaultError:
            _log.error("faces.embedding_unreadable", face_id=face.id)
            return None


async def require(session: AsyncSession, person_id: str) -> PersonRow:
    """Return a person's row.

    Raises:
        NotFound: There is no such person.
    """
    row = await session.get(PersonRow, person_id)
    if row is None:
        raise model.person_not_found(person_id)
    return row


async def require_locked(session: AsyncSession, person_id: str) -> PersonRow:
    """Return a person's row, which nobody else changes or removes before the commit.

    Raises:
        NotFound: There is no such person.
    """
    row = await session.get(PersonRow, person_id, with_for_update=True)
    if row is None:
        raise model.person_not_found(person_id)
    return row


async def held(tx: Transaction, person_ids: Collection[str]) -> set[str]:
    """Return those of the people who are there, and stay there until the commit."""
    if not person_ids:
        return set()
    query = (
        select(PersonRow.id)
        .where(PersonRow.id.in_(person_ids))
        .order_by(PersonRow.id)
        .with_for_update(read=True, key_share=True)
    )
    return set(await tx.session.scalars(query))


async def names(session: AsyncSession, person_ids: Collection[str]) -> dict[str, str]:
    """Return the names of those of the people who are there."""
    if not person_ids:
        return {}
    query = select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(person_ids))
    return {row.id: row.name for row in await session.execute(query)}


async def mark_seen(tx: Transaction, person_id: str, seen_at: datetime) -> None:
    """Note that a camera matched the person at that time, unless a later one is noted."""
    earlier = PersonRow.last_seen_at.is_(None) | (PersonRow.last_seen_at < seen_at)
    await tx.session.execute(
        update(PersonRow)
        .where(PersonRow.id == person_id, earlier)
        .values(last_seen_at=seen_at)
        .execution_options(synchronize_session=False)
    )


async def mark_not_seen(
    tx: Transaction, person_id: str, seen_at: datetime, *, earlier: datetime | None
) -> None:
    """Take back that a camera matched the person at that time, unless a later one is noted."""
    await tx.session.execute(
        update(PersonRow)
        .where(PersonRow.id == person_id, PersonRow.last_seen_at <= seen_at)
        .values(last_seen_at=earlier)
        .execution_options(synchronize_session=False)
    )


def open_embedding(vault: Vault, face: FaceRow, row: EmbeddingRow) -> Embedding:
    """Open a sealed embedding.

    Raises:
        VaultError: It was changed, or sealed for another place.
    """
    vector = vault.open(row.sealed, table="embeddings", column="sealed", row_id=row.face_id)
    return Embedding(pack_id=face.pack_id, dimension=row.dimension, vector=vector)


def _with_embeddings() -> Select[FaceRow, EmbeddingRow]:
    return select(FaceRow, EmbeddingRow).join(EmbeddingRow, EmbeddingRow.face_id == FaceRow.id)


def _with_counts() -> Select[PersonRow, int]:
    counted = (
        select(func.count())
        .where(FaceRow.person_id == PersonRow.id)
        .correlate(PersonRow)
        .scalar_subquery()
    )
    return select(PersonRow, counted)


async def _read(session: AsyncSession, person_id: str) -> Person:
    found = (await session.execute(_with_counts().where(PersonRow.id == person_id))).first()
    if found is None:
        raise model.person_not_found(person_id)
    row, count = found
    return _person(row, count)


async def _count_faces(session: AsyncSession, person_id: str) -> int:
    query = select(func.count()).select_from(FaceRow).where(FaceRow.person_id == person_id)
    return await session.scalar(query) or 0


async def _same_request(session: AsyncSession, row: PersonRow, digest: str) -> Person:
    if row.request_digest != digest:
        raise AlreadyExists(
            "REQUEST_ID_REUSED",
            "This request_id was used for another person; choose a new one.",
            person_id=row.id,
        )
    return await _read(session, row.id)


async def tell_change(tx: Transaction, person_id: str) -> Person:
    """Return the person as it is now, and put that into the feed."""
    person = await _read(tx.session, person_id)
    await _append(tx, "person.updated", person)
    return person


def face_payload(row: FaceRow) -> dict[str, Any]:
    """Return a face as it stands inside an event."""
    return {
        "id": row.id,
        "person_id": row.person_id,
        "quality": row.quality,
        "pack_id": row.pack_id,
        "created_at": row.created_at.isoformat(),
    }


async def _append(tx: Transaction, type: str, person: Person) -> None:  # noqa: A002 - the event's word
    # no notes and no labels: whoever may see events need not be allowed to read people's records
    payload: dict[str, Any] = {
        "person": {
            "id": person.id,
            "name": person.name,
            "face_count": person.face_count,
            "created_at": person.created_at.isoformat(),
            "updated_at": person.updated_at.isoformat(),
        }
    }
    await tx.append_event(type, person_id=person.id, payload=payload)


def _person(row: PersonRow, face_count: int) -> Person:
    return Person(
        id=row.id,
        name=row.name,
        notes=row.notes,
        labels=tuple(row.labels),
        face_count=face_count,
        last_seen_at=row.last_seen_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _face(row: FaceRow) -> Face:
    return Face(
        id=row.id,
        person_id=row.person_id,
        quality=Quality.from_json(row.quality),
        pack_id=row.pack_id,
        revision=row.revision,
        created_at=row.created_at,
    )
