"""Reading the feed's tables: where it stands, and the events after a place.

Positions and events are read in the caller's transaction, which sees one moment of the database.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database
from control_plane.events.model import FeedEvent
from control_plane.events.tables import EventRow, FeedRow
from control_plane.people.tables import PersonRow
from service_runtime.resume_tokens import ResumeToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a feed stands: which history it is, what is gone from it, and its newest number."""

    feed_id: str
    compacted_through: int
    head: int

    @property
    def end(self) -> ResumeToken:
        """The place after the newest event."""
        return ResumeToken(feed_id=self.feed_id, sequence=self.head)

    def keeps_what_follows(self, position: ResumeToken) -> bool:
        """Tell whether a watcher at this position can go on without missing anything."""
        known = self.compacted_through <= position.sequence <= self.head
        return position.feed_id == self.feed_id and known


class StandingLooks:
    """Looks at where a feed stands, one for all who ask together.

    Whoever asks gets what was read after the question, never before it: at most one look runs, and
    all who ask meanwhile share the next. Many watchers open at once after a restart.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: asyncio.Task[Standing] | None = None
        self._next: asyncio.Task[Standing] | None = None

    async def now(self) -> Standing:
        """Return where the feed stands.

        Raises:
            DatabaseUnavailable: The database server is away.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._look(self._running))
            # whoever asked is told what went wrong, if anybody is left
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        # who leaves must not end the look of the others
        return await asyncio.shield(self._next)

    async def _look(self, before: "asyncio.Task[Standing] | None") -> Standing:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        async with self._database.read() as session:
            return await standing(session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Events in their order, and how many bytes of JSON each one's payload is."""

    events: tuple[FeedEvent, ...]
    sizes: tuple[int, ...]


NEWEST: Final = select(func.max(EventRow.sequence)).scalar_subquery()
_COLUMNS: Final = (
    EventRow.sequence,
    EventRow.type,
    EventRow.camera_id,
    EventRow.person_id,
    EventRow.face_id,
    EventRow.sighting_id,
    EventRow.payload,
    EventRow.created_at,
    func.length(cast(EventRow.payload, Text)).label("size"),
)


async def standing(session: AsyncSession) -> Standing:
    """Return where the feed stands."""
    query = select(FeedRow.feed_id, FeedRow.compacted_through, NEWEST.label("newest"))
    row = (await session.execute(query)).one()
    return Standing(
        feed_id=row.feed_id,
        compacted_through=row.compacted_through,
        # numbers go on after everything was compacted
        head=max(row.newest or 0, row.compacted_through),
    )


async def events_after(session: AsyncSession, position: ResumeToken, limit: int) -> Found:
    """Return the next events after a position, oldest first."""
    return await _events(
        session, position.feed_id, EventRow.sequence > position.sequence, limit=limit
    )


async def events_again(session: AsyncSession, feed_id: str, sequences: Collection[int]) -> Found:
    """Return events as they are now; those that are gone are left out."""
    return await _events(session, feed_id, EventRow.sequence.in_(sequences), limit=len(sequences))


async def _events(
    session: AsyncSession, feed_id: str, which: ColumnElement[bool], *, limit: int
) -> Found:
    query = select(*_COLUMNS).where(which).order_by(EventRow.sequence).limit(limit)
    rows = (await session.execute(query)).all()
    names = await _names(session, {person for row in rows for person in people_in(row.payload)})
    events = tuple(
        FeedEvent(
            token=ResumeToken(feed_id=feed_id, sequence=row.sequence),
            type=row.type,
            camera_id=row.camera_id,
            person_id=row.person_id,
            face_id=row.face_id,
            sighting_id=row.sighting_id,
            payload=row.payload,
            names={person: names.get(person, "") for person in people_in(row.payload)},
            created_at=row.created_at,
        )
        for row in rows
    )
    return Found(events=events, sizes=tuple(row.size for row in rows))


async def _names(session: AsyncSession, people: set[str]) -> Mapping[str, str]:
    if not people:
        return {}
    query = select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(people))
    return {row.id: row.name for row in await session.execute(query)}


def people_in(payload: Mapping[str, Any]) -> Iterable[str]:
    """Return the people whose names are filled in where an event is read."""
    sighting: Mapping[str, Any] = payload.get("sighting") or {}
    evidence: Mapping[str, Any] = sighting.get("evidence") or {}
    candidates: Sequence[Mapping[str, Any]] = evidence.get("candidates") or ()
    alert: Mapping[str, Any] = payload.get("alert") or {}
    mentioned = [
        sighting.get("person_id"),
        *(one.get("person_id") for one in candidates),
        alert.get("person_id"),
    ]
    return {person for person in mentioned if person}
