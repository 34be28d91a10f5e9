"""Reading sightings: one, a page, or those that events name; names are filled in here.

A name is read when the sighting is, so that a renamed person shows the new name everywhere.
``intake.py`` writes.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database
from control_plane.face_values import Box, Candidate, Quality
from control_plane.people import store as people
from control_plane.sightings import model
from control_plane.sightings.model import (
    REJECTED,
    Evidence,
    Label,
    NamedCandidate,
    PictureOf,
    Sighting,
    SightingFilter,
)
from control_plane.sightings.tables import SightingCandidateRow, SightingLabelRow, SightingRow

PageKey = tuple[datetime, str]


class SightingStore:
    """Reads sightings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, sighting_id: str) -> Sighting:
        """Return a sighting.

        Raises:
            NotFound: There is none.
        """
        found = await self.some([sighting_id])
        if not found:
            raise model.sighting_not_found(sighting_id)
        return found[0]

    async def some(self, sighting_ids: Collection[str]) -> list[Sighting]:
        """Return those of the sightings that are there, the one that ended first, first."""
        query = select(SightingRow).where(SightingRow.id.in_(sighting_ids))
        async with self._database.read() as session:
            rows = await session.scalars(query.order_by(SightingRow.ended_at, SightingRow.id))
            return await _complete(session, list(rows))

    async def page(
        self, shown: SightingFilter, *, after: PageKey | None, limit: int
    ) -> list[Sighting]:
        """Return sightings, the newest start first, after a start and id."""
        query = narrowed(select(SightingRow), shown)
        if after is not None:
            query = query.where(tuple_(SightingRow.started_at, SightingRow.id) < after)
        newest_first = (SightingRow.started_at.desc(), SightingRow.id.desc())
        async with self._database.read() as session:
            rows = await session.scalars(query.order_by(*newest_first).limit(limit))
            return await _complete(session, list(rows))

    async def picture(self, sighting_id: str, of: PictureOf) -> tuple[str, str | None]:
        """Return the camera of a sighting, and where a picture of it is, if it has that one.

        Raises:
            NotFound: There is no such sighting.
        """
        async with self._database.read() as session:
            row = await session.get(SightingRow, sighting_id)
            if row is None:
                raise model.sighting_not_found(sighting_id)
            return row.camera_id, row.crop_blob_id if of == "face" else row.context_blob_id


def narrowed(query: Select[SightingRow], shown: SightingFilter) -> Select[SightingRow]:
    """Return the query for the sightings that a filter lets through."""
    if shown.cameras is not None:
        query = query.where(SightingRow.camera_id.in_(shown.cameras))
    if shown.camera_id is not None:
        query = query.where(SightingRow.camera_id == shown.camera_id)
    if shown.person_id is not None:
        query = query.where(SightingRow.person_id == shown.person_id)
    if shown.decision is not None:
        query = query.where(SightingRow.decision == shown.decision)
    if shown.since is not None:
        query = query.where(SightingRow.ended_at >= shown.since)
    if shown.until is not None:
        query = query.where(SightingRow.started_at < shown.until)
    return query


def sighting_of(row: SightingRow) -> Sighting:
    """Return the sighting of a row, with neither names nor candidates."""
    return _sighting(row, (), {})


async def _complete(session: AsyncSession, rows: Sequence[SightingRow]) -> list[Sighting]:
    candidates: dict[str, list[SightingCandidateRow]] = {row.id: [] for row in rows}
    query = (
        select(SightingCandidateRow)
        .where(SightingCandidateRow.sighting_id.in_(candidates))
        .order_by(SightingCandidateRow.rank)
    )
    for candidate in await session.scalars(query):
        candidates[candidate.sighting_id].append(candidate)
    labels = await _labels(session, candidates.keys())
    mentioned = {c.person_id for several in candidates.values() for c in several}
    mentioned.update(row.person_id for row in rows if row.person_id is not None)
    names = await people.names(session, mentioned)
    return [_sighting(row, candidates[row.id], names, labels.get(row.id)) for row in rows]


async def _labels(session: AsyncSession, sighting_ids: Collection[str]) -> dict[str, Label]:
    """Return what was said last of each of the sightings that somebody labelled."""
    query = select(SightingLabelRow).where(SightingLabelRow.sighting_id.in_(sighting_ids))
    newest_last = query.order_by(SightingLabelRow.labelled_at)
    labels: dict[str, Label] = {}
    for row in await session.scalars(newest_last):
        named = labels.get(row.sighting_id)
        # a move rejects the person before it in the same moment
        if named is None or row.verdict != REJECTED or named.labelled_at < row.labelled_at:
            labels[row.sighting_id] = label_of(row)
    return labels


def label_of(row: SightingLabelRow) -> Label:
    """Return the label of a row."""
    return Label(
        person_id=row.person_id,
        verdict=row.verdict,
        labelled_by=row.labelled_by,
        labelled_at=row.labelled_at,
    )


def _sighting(
    row: SightingRow,
    candidates: Iterable[SightingCandidateRow],
    names: dict[str, str],
    label: Label | None = None,
) -> Sighting:
    return Sighting(
        id=row.id,
        camera_id=row.camera_id,
        track_id=row.track_id,
        decision=row.decision,
        person_id=row.person_id,
        person_name=names.get(row.person_id, "") if row.person_id is not None else "",
        unknown_id=row.unknown_id,
        score=row.score,
        threshold=row.threshold,
        margin=row.margin,
        started_at=row.started_at,
        ended_at=row.ended_at,
        frames=row.frames,
        box=Box(**row.box),
        quality=Quality.from_json(row.quality),
        evidence=Evidence(**row.evidence),
        candidates=tuple(
            NamedCandidate(
                candidate=Candidate(person_id=c.person_id, face_id=c.face_id, score=c.score),
                person_name=names.get(c.person_id, ""),
            )
            for c in candidates
        ),
        label=label,
    )
