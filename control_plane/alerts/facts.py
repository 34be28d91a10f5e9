"""What rules are held against: facts, and how events of the change feed tell them. Pure.

An event whose payload was emptied by an erasure tells nothing any more.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from control_plane.alerts.model import (
    CAMERA_UNHEALTHY,
    OCCUPANCY_OVER,
    SEEN_KINDS,
    WORKER_ERROR,
)
from control_plane.alerts.zones import centre_of
from control_plane.events.types import OCCUPANCY_CHANGED
from service_runtime.polygons import Point

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEEN_TYPES: Final = frozenset({"sighting.created", "sighting.updated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Somebody was seen, or is by now taken for somebody else.

    Attributes:
        camera_id: Where.
        told_at: When it was reported.
        seen_at: When the person was in the picture last.
        sighting_id: The sighting.
        decision: ``match``, ``review`` or ``unknown``.
        person_id: The person, on a match.
        score: Similarity to the closest person.
        centre: Centre of the face.
        zones: Zones of the camera that the centre is in.
        watch_lists: Watch lists that the person is on.
    """

    camera_id: str
    told_at: datetime
    seen_at: datetime
    sighting_id: str
    decision: str
    person_id: str | None
    score: float
    centre: Point
    zones: frozenset[str] = frozenset()
    watch_lists: frozenset[str] = frozenset()

    def placed(self, zones: frozenset[str], watch_lists: frozenset[str]) -> "Seen":
        """Return it with what only the database knows."""
        return dataclasses.replace(self, zones=zones, watch_lists=watch_lists)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A worker failed."""

    camera_id: str
    told_at: datetime
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthTold:
    """How a camera is.

    Attributes:
        camera_id: The camera.
        told_at: When it was reported or looked at.
        health: Empty where the camera is not meant to run.
        is_looked_at: The timer looked: what it sees may be older than that.
    """

    camera_id: str
    told_at: datetime
    health: str
    is_looked_at: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many people were counted.

    Attributes:
        camera_id: Where.
        told_at: When it was reported.
        zone: In which zone; empty is the whole picture.
        counted_at: When.
        people: How many.
        is_late: Newer samples came before it, so it changes no state that lasts.
    """

    camera_id: str
    told_at: datetime
    zone: str
    counted_at: datetime
    people: int
    is_late: bool


Fact = Seen | Failed | HealthTold | Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as the feed has it."""

    type: str
    camera_id: str | None
    payload: Mapping[str, Any]
    created_at: datetime


def types_for(kinds: Iterable[str]) -> frozenset[str]:
    """Return the types of events that rules of these kinds listen to."""
    wanted = set(kinds)
    types: set[str] = set()
    if wanted & SEEN_KINDS:
        types |= _SEEN_TYPES
    if WORKER_ERROR in wanted:
        types.add("worker.error")
    if CAMERA_UNHEALTHY in wanted:
        types |= {
            "worker.heartbeat", "worker.started", "worker.stopped",
            "camera.enabled", "camera.disabled",
        }  # fmt: skip
    if OCCUPANCY_OVER in wanted:
        types.add(OCCUPANCY_CHANGED)
    return frozenset(types)


def facts_of(event: Told) -> list[Fact]:
    """Return what an event tells; one that tells nothing of use gives none."""
    camera_id = event.camera_id
    if camera_id is None:
        return []
    if event.type in _SEEN_TYPES:
        sighting = event.payload.get("sighting")
        return [_seen(camera_id, event.created_at, sighting)] if sighting else []
    if event.type == OCCUPANCY_CHANGED:
        return [
            Counted(
                camera_id=camera_id,
                told_at=event.created_at,
                zone=event.payload["zone"],
                counted_at=moment_of(observed_us),
                people=people,
                is_late=is_late,
            )
            for observed_us, people, is_late in event.payload["samples"]
        ]
    facts: list[Fact] = []
    if event.type == "worker.error":
        error = event.payload.get("error", {})
        facts.append(
            Failed(
                camera_id=camera_id,
                told_at=event.created_at,
                reason=error.get("reason", ""),
                sentence=error.get("message", ""),
            )
        )
    wanted = event.payload.get("camera", {}).get("desired_state") == "running"
    runtime = event.payload.get("runtime")
    if runtime is not None or not wanted:
        health = runtime.get("health_status", "") if runtime is not None and wanted else ""
        facts.append(HealthTold(camera_id=camera_id, told_at=event.created_at, health=health))
    return facts


def moment_of(observed_us: int) -> datetime:
    """Return the moment of a sample's microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=observed_us)


def _seen(camera_id: str, told_at: datetime, sighting: Mapping[str, Any]) -> Seen:
    decision = sighting.get("decision", "")
    return Seen(
        camera_id=camera_id,
        told_at=told_at,
        seen_at=datetime.fromisoformat(sighting["ended_at"]),
        sighting_id=sighting["id"],
        decision=decision,
        person_id=(sighting.get("person_id") or None) if decision == "match" else None,
        score=float(sighting.get("score", 0)),
        centre=centre_of(sighting.get("box", {})),
    )
