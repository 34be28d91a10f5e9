"""Who is on a photograph: the closest enrolled people, and past sightings that look alike.

One photograph decides by threshold and margin alone: there is no track whose frames could agree.
Past sightings are compared here and not in the index, which holds enrolled people only; so a search
opens a bounded number of sealed embeddings, the newest first, and says when there were more. Who
was only ever seen badly is not compared: a smear is near to many.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, tuple_

from control_plane.database import Database
from control_plane.encryption import Vault
from control_plane.face_values import Candidate
from control_plane.people import store as people
from control_plane.people.enrolment import check_picture
from control_plane.people.face_analysis import Analysis, FaceAnalysis, FoundFace
from control_plane.people.store import PersonStore
from control_plane.sightings.enrolment import open_sighting_embedding
from control_plane.sightings.model import MATCH, UNKNOWN, NamedCandidate, Sighting, SightingFilter
from control_plane.sightings.store import SightingStore, narrowed
from control_plane.sightings.tables import SightingRow
from service_runtime.errors import InvalidArgument

REVIEW: Final = "review"
MOST_FACES: Final = 20
MOST_COMPARED: Final = 20_000
MOST_SIMILAR: Final = 20
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarSighting:
    """A past sighting, and how close its face comes."""

    score: float
    sighting: Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedFace:
    """A face of the photograph, and who it may be."""

    face: FoundFace
    decision: str
    candidates: tuple[NamedCandidate, ...]
    sightings: tuple[SimilarSighting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSearchAnswer:
    """All faces; ``truncated`` where more sightings were there than were compared."""

    faces: tuple[SearchedFace, ...]
    compared: int
    truncated: bool


class PhotoSearch:
    """Searches by photograph."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        analysis: FaceAnalysis,
        persons: PersonStore,
        sightings: SightingStore,
    ) -> None:
        self._database = database
        self._vault = vault
        self._analysis = analysis
        self._persons = persons
        self._sightings = sightings

    async def search(self, image: bytes, *, past: SightingFilter | None) -> PhotoSearchAnswer:
        """Say who is on a photograph.

        Args:
            image: JPEG, PNG or WebP.
            past: Which past sightings are compared as well; None is none.

        Raises:
            InvalidArgument: It is no picture that can be used, or shows no face.
            Unavailable: The identity index does not answer.
        """
        check_picture(image)
        analysis = await self._analysis.analyze(image)
        faces = analysis.faces[:MOST_FACES]
        if not faces:
            raise InvalidArgument(
                "NO_FACE_FOUND",
                "No face was found on the picture; send one on which the face is large and seen"
                " from the front.",
            )
        candidates = [await self._closest(face) for face in faces]
        names = await self._names(candidates)
        past_faces = _PastFaces(faces, review_threshold=analysis.review_threshold)
        truncated = await self._compare(past_faces, past) if past is not None else False
        similar = await self._similar(past_faces)
        return PhotoSearchAnswer(
            faces=tuple(
                SearchedFace(
                    face=face,
                    decision=decide(several, analysis),
                    candidates=tuple(
                        NamedCandidate(candidate=one, person_name=names[one.person_id])
                        for one in several
                        if one.person_id in names
                    ),
                    sightings=tuple(alike),
                )
                for face, several, alike in zip(faces, candidates, similar, strict=True)
            ),
            compared=past_faces.compared,
            truncated=truncated,
        )

    async def _closest(self, face: FoundFace) -> list[Candidate]:
        revision = await self._persons.newest_revision(face.embedding.pack_id)
        if revision == 0:
            return []
        found = await self._analysis.closest(face.embedding, min_revision=revision)
        # the index may not have heard yet of a face that was removed since
        holders = await self._persons.holders([candidate.face_id for candidate in found])
        return [candidate for candidate in found if candidate.face_id in holders]

    async def _names(self, candidates: Sequence[Sequence[Candidate]]) -> dict[str, str]:
        async with self._database.read() as session:
            return await people.names(
                session, {one.person_id for several in candidates for one in several}
            )

    async def _compare(self, faces: "_PastFaces", past: SightingFilter) -> bool:
        """Compare sightings page by page; tell whether there were more than are compared."""
        query = narrowed(select(SightingRow), past).where(SightingRow.pack_id == faces.pack_id)
        newest_first = query.order_by(SightingRow.started_at.desc(), SightingRow.id.desc())
        after = None
        read = 0
        while True:
            page_query = newest_first.limit(_PAGE)
            if after is not None:
                page_query = page_query.where(
                    tuple_(SightingRow.started_at, SightingRow.id) < after
                )
            async with self._database.read() as session:
                rows = list(await session.scalars(page_query))
            if not rows:
                return False
            if read >= MOST_COMPARED:
                return True
            read += len(rows)
            await asyncio.to_thread(self._compare_page, faces, rows)
            after = (rows[-1].started_at, rows[-1].id)

    def _compare_page(self, faces: "_PastFaces", rows: Sequence[SightingRow]) -> None:
        usable = [row for row in rows if row.quality.get("verdict") != "poor"]
        if usable:
            embeddings = [open_sighting_embedding(self._vault, row).values() for row in usable]
            faces.compare(np.stack(embeddings), [row.id for row in usable])

    async def _similar(self, faces: "_PastFaces") -> list[list[SimilarSighting]]:
        wanted = {sighting_id for best in faces.best for _, sighting_id in best}
        sightings = {one.id: one for one in await self._sightings.some(wanted)} if wanted else {}
        return [
            [
                SimilarSighting(score=score, sighting=sightings[sighting_id])
                for score, sighting_id in best
                if sighting_id in sightings
            ]
            for best in faces.best
        ]


class _PastFaces:
    """The faces of the photograph, and the sightings that came closest to each so far."""

    def __init__(self, faces: Sequence[FoundFace], *, review_threshold: float) -> None:
        self.pack_id = faces[0].embedding.pack_id
        self.compared = 0
        self.best: list[list[tuple[float, str]]] = [[] for _ in faces]
        self._probes = np.stack([face.embedding.values() for face in faces])
        self._threshold = review_threshold

    def compare(self, embeddings: NDArray[np.float32], sighting_ids: Sequence[str]) -> None:
        """Compare sightings, (n, dimension) float32 of unit length, and keep the closest."""
        self.compared += len(sighting_ids)
        scores = self._probes @ embeddings.T
        for best, row in zip(self.best, scores, strict=True):
            close = np.flatnonzero(row >= self._threshold)
            best.extend((float(row[at]), sighting_ids[at]) for at in close.tolist())
            best.sort(reverse=True)
            del best[MOST_SIMILAR:]


def decide(candidates: Sequence[Candidate], analysis: Analysis) -> str:
    """Return ``match``, ``review`` or ``unknown`` for one face by threshold and margin."""
    scores = sorted((candidate.score for candidate in candidates), reverse=True)
    if not scores or scores[0] < analysis.review_threshold:
        return UNKNOWN
    leads = len(scores) == 1 or scores[0] - scores[1] >= analysis.margin
    return MATCH if scores[0] >= analysis.match_threshold and leads else REVIEW
