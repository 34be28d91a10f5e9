"""Sightings as values: what a worker reports, and what clients read.

Pure: ``intake.py`` writes reports, ``store.py`` reads sightings.
"""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from control_plane.face_values import Box, Candidate, Embedding, Quality
from service_runtime.errors import NotFound
from service_runtime.identifiers import parse_id

MATCH: Final = "match"
UNKNOWN: Final = "unknown"
CONFIRMED: Final = "confirmed"
MOVED: Final = "moved"
REJECTED: Final = "rejected"
_JPEG_START: Final = b"\xff\xd8\xff"

PictureOf = Literal["face", "context"]
"""What a picture of a sighting shows: the face with some surroundings, or all that was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a sighting was decided so, beside its candidates."""

    pack_id: str
    threshold_version: str
    votes: int
    latency_ms: float

    def to_json(self) -> dict[str, Any]:
        """Return what a JSON column keeps."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SightingReport:
    """One sighting as a worker reports it; fields as in the contract's ``SightingReport``."""

    id: str
    track_id: int
    revision: int
    decision: str
    person_id: str | None
    score: float
    threshold: float
    margin: float | None
    started_at: datetime
    ended_at: datetime
    frames: int
    box: Box
    quality: Quality
    evidence: Evidence
    candidates: tuple[Candidate, ...]
    embedding: Embedding
    crop: bytes = dataclasses.field(repr=False)
    context: bytes = dataclasses.field(repr=False)

    @property
    def people(self) -> set[str]:
        """Everybody whom the report mentions."""
        named = {self.person_id} if self.person_id is not None else set()
        return named | {candidate.person_id for candidate in self.candidates}

    @property
    def pictures(self) -> dict[PictureOf, bytes]:
        """Those that are the JPEGs that they have to be: clients are told that they are."""
        given: dict[PictureOf, bytes] = {"face": self.crop, "context": self.context}
        return {of: data for of, data in given.items() if data.startswith(_JPEG_START)}

    def not_after(self, now: datetime) -> Self:
        """Return the report with no time that is still to come.

        A worker's clock may run ahead, or its program lie: lists are newest first, and a sighting
        of the year 9999 would stand on top of them for ever.
        """
        return dataclasses.replace(
            self, started_at=min(self.started_at, now), ended_at=min(self.ended_at, now)
        )

    def decided(self, *, decision: str, person_id: str | None) -> Self:
        """Return the report with a decision that somebody made since, in place of the worker's."""
        return dataclasses.replace(self, decision=decision, person_id=person_id)

    def with_people(self, present: Collection[str]) -> Self:
        """Return the report without people who are not there (any more).

        A worker may still name somebody who was erased a moment ago. The sighting stays, as that of
        an unknown person; the name and its score do not come back.
        """
        candidates = tuple(c for c in self.candidates if c.person_id in present)
        if self.person_id is None or self.person_id in present:
            return dataclasses.replace(self, candidates=candidates)
        return dataclasses.replace(
            self,
            decision=UNKNOWN,
            person_id=None,
            candidates=candidates,
            score=candidates[0].score if candidates else 0.0,
            margin=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCandidate:
    """A candidate, with the name as it is now; empty where the person is gone."""

    candidate: Candidate
    person_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a person said of a sighting: ``confirmed``, ``moved`` or ``rejected``."""

    person_id: str
    verdict: str
    labelled_by: str
    labelled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A sighting as clients read it."""

    id: str
    camera_id: str
    track_id: int
    decision: str
    person_id: str | None
    person_name: str
    unknown_id: str | None
    score: float
    threshold: float
    margin: float | None
    started_at: datetime
    ended_at: datetime
    frames: int
    box: Box
    quality: Quality
    evidence: Evidence
    candidates: tuple[NamedCandidate, ...]
    label: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SightingFilter:
    """Which sightings a list shows; None lets all through."""

    camera_id: str | None = None
    person_id: str | None = None
    decision: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    cameras: frozenset[str] | None = None


def sighting_id_of(text: str) -> str:
    """Read the id of a sighting.

    Raises:
        NotFound: It cannot be one.
    """
    try:
        return parse_id(text, noun="sighting")
    except NotFound:
        raise sighting_not_found(text[:64]) from None


def sighting_not_found(sighting_id: str) -> NotFound:
    """Return the refusal for an id that no sighting has."""
    return NotFound(
        "SIGHTING_NOT_FOUND",
        "No sighting has this id; list them with GET /sightings.",
        sighting_id=sighting_id,
    )
