"""People and their faces as values, and the rules that hold for them.

Pure: ``store.py`` keeps these values, ``enrolment.py`` decides which face becomes one of them.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from control_plane.face_values import Embedding, Quality
from service_runtime.errors import (
    Aborted,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
)

MOST_FACES: Final = 100
LONGEST_NAME: Final = 200
MOST_LABELS: Final = 50
_TWIN_COSINE: Final = 0.9999  # one photograph twice; two of one person stay well below
_LONGEST_SORT_KEY: Final = 250  # as JSON; a page token holds 512 characters in all


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A known person."""

    id: str
    name: str
    notes: str
    labels: tuple[str, ...]
    face_count: int
    last_seen_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """What an update can change as one opaque word; faces and sightings leave it as it is."""
        return request_digest(self.name, self.notes, self.labels)[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonChange:
    """What to change of a person; None leaves it alone."""

    name: str | None = None
    notes: str | None = None
    labels: tuple[str, ...] | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """An enrolled face."""

    id: str
    person_id: str
    quality: Quality
    pack_id: str
    revision: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """Proof of what was erased with a person."""

    id: str
    person_id: str
    erased_at: datetime
    faces: int
    sightings: int
    pictures: int
    alerts: int
    alert_rules: int
    watch_lists: int


def clean_name(name: str) -> str:
    """Return the name as it is kept: composed characters, no blanks around it.

    Raises:
        InvalidArgument: Nothing is left of it, or it holds control characters.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned:
        raise _violation("name", "must not be blank")
    if any(unicodedata.category(character) == "Cc" for character in cleaned):
        raise _violation("name", "must not hold control characters")
    if len(cleaned) > LONGEST_NAME:  # composing can make text longer, too
        raise _violation("name", f"must not have more than {LONGEST_NAME} characters")
    return cleaned


def clean_text(field: str, text: str) -> str:
    """Return free text as it is kept.

    Raises:
        InvalidArgument: It holds a NUL, which no database keeps.
    """
    if "\0" in text:
        raise _violation(field, "must not hold a NUL character")
    return text


def clean_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels as they are kept."""
    return tuple(clean_text("labels", label) for label in labels)


def fold(text: str) -> str:
    """Return text for comparison whatever the case and the spelling of its characters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).strip().casefold())


def sort_key(folded: str) -> str:
    """Return as much of a folded name as fits into a page token."""
    key = folded[:_LONGEST_SORT_KEY]
    while len(json.dumps(key)) > _LONGEST_SORT_KEY:
        key = key[:-1]
    return key


def request_digest(name: str, notes: str, labels: Sequence[str]) -> str:
    """Return what tells a repeated request from another one under the same id."""
    return hashlib.sha256(json.dumps([name, notes, list(labels)]).encode()).hexdigest()


def is_twin(one: Embedding, other: Embedding) -> bool:
    """Return whether two embeddings of one pack come from the same photograph."""
    if one.dimension != other.dimension:
        return False
    return float(one.values() @ other.values()) > _TWIN_COSINE


def person_not_found(person_id: str) -> NotFound:
    """Return the refusal for an id that no person has."""
    return NotFound(
        "PERSON_NOT_FOUND",
        "No person has this id; list them with GET /persons.",
        person_id=person_id,
    )


def etag_mismatch(person_id: str) -> Aborted:
    """Return the refusal of a change to what somebody else has changed."""
    return Aborted(
        "ETAG_MISMATCH",
        "Somebody changed the person meanwhile; read it again, then repeat the change.",
        person_id=person_id,
    )


def too_many_faces(person_id: str) -> FailedPrecondition:
    """Return the refusal for a person who has as many faces as one can have."""
    return FailedPrecondition(
        "TOO_MANY_FACES",
        f"A person can have {MOST_FACES} faces; remove one first.",
        person_id=person_id,
    )


def _violation(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(
        "REQUEST_INVALID",
        f"The {field} {description}.",
        violations=[FieldViolation(field=field, description=description)],
    )
