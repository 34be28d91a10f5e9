"""Rules, facts and alerts as values, and what may be a rule. Pure.

``judging.py`` holds facts against rules, ``facts.py`` reads facts from the change feed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Final

from control_plane.alerts.windows import DAYS, Window
from service_runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)

PERSON_SEEN: Final = "person_seen"
WATCH_LIST_SEEN: Final = "watch_list_seen"
UNKNOWN_SEEN: Final = "unknown_seen"
CAMERA_UNHEALTHY: Final = "camera_unhealthy"
WORKER_ERROR: Final = "worker_error"
OCCUPANCY_OVER: Final = "occupancy_over"

SEEN_KINDS: Final = frozenset({PERSON_SEEN, WATCH_LIST_SEEN, UNKNOWN_SEEN})

OPEN: Final = "open"
ACKNOWLEDGED: Final = "acknowledged"

DEFAULT_SEVERITY: Final = "warning"
DEFAULT_COOLDOWN_S: Final = 60
LONGEST_COOLDOWN_S: Final = 7 * 24 * 3600
DEFAULT_HEALTH: Final = ("unhealthy", "unknown")

MOST_RULES: Final = 500
MOST_WATCH_LISTS: Final = 200

SOMEBODY: Final = "A known person"

# the fields of a condition that count for a kind, beside cameras and window, which always do
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    PERSON_SEEN: frozenset({"person_id", "zone", "min_score"}),
    WATCH_LIST_SEEN: frozenset({"watch_list_id", "zone", "min_score"}),
    UNKNOWN_SEEN: frozenset({"zone", "min_score"}),
    CAMERA_UNHEALTHY: frozenset({"for_s", "health"}),
    WORKER_ERROR: frozenset(),
    OCCUPANCY_OVER: frozenset({"zone", "over", "for_s"}),
}
_NEEDED: Final[Mapping[str, str]] = {
    PERSON_SEEN: "person_id",
    WATCH_LIST_SEEN: "watch_list_id",
    OCCUPANCY_OVER: "over",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must be the case; fields as in the contract's ``AlertCondition``."""

    person_id: str | None = None
    watch_list_id: str | None = None
    camera_ids: tuple[str, ...] = ()
    zone: str = ""
    window: Window | None = None
    min_score: float | None = None
    over: int | None = None
    for_s: int = 0
    health: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what a JSON column keeps: all but the person and the list, which are columns."""
        window = self.window
        return {
            "camera_ids": list(self.camera_ids),
            "zone": self.zone,
            "window": None
            if window is None
            else {
                "days": sorted(window.days),
                "start": window.start.isoformat(timespec="minutes"),
                "end": window.end.isoformat(timespec="minutes"),
                "time_zone": window.time_zone,
            },
            "min_score": self.min_score,
            "over": self.over,
            "for_s": self.for_s,
            "health": list(self.health),
        }

    @classmethod
    def from_json(
        cls, value: Mapping[str, Any], *, person_id: str | None, watch_list_id: str | None
    ) -> "Condition":
        """Read what a row kept."""
        window = value["window"]
        return cls(
            person_id=person_id,
            watch_list_id=watch_list_id,
            camera_ids=tuple(value["camera_ids"]),
            zone=value["zone"],
            window=None
            if window is None
            else Window(
                days=frozenset(window["days"]),
                start=time.fromisoformat(window["start"]),
                end=time.fromisoformat(window["end"]),
                time_zone=window["time_zone"],
            ),
            min_score=value["min_score"],
            over=value["over"],
            for_s=value["for_s"],
            health=tuple(value["health"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. ``active_since`` is when it was made or enabled last: older facts are not its own."""

    id: str
    name: str
    description: str
    kind: str
    severity: str
    enabled: bool
    condition: Condition
    cooldown_s: int
    active_since: datetime
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def etag(self) -> str:
        """Version of the rule as an opaque word."""
        return f"v{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """What to change of a rule; None leaves it alone."""

    name: str | None = None
    description: str | None = None
    severity: str | None = None
    enabled: bool | None = None
    condition: Condition | None = None
    cooldown_s: int | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchList:
    """People whom rules name together."""

    id: str
    name: str
    description: str
    person_ids: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def etag(self) -> str:
        """Version of the list as an opaque word."""
        return f"v{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchListChange:
    """What to change of a watch list; None leaves it alone."""

    name: str | None = None
    description: str | None = None
    person_ids: tuple[str, ...] | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert. ``details`` holds the contract's ``AlertDetails`` as JSON."""

    id: str
    rule_id: str
    rule_name: str
    kind: str
    severity: str
    camera_id: str
    person_id: str | None
    sighting_id: str | None
    zone: str
    state: str
    raised_at: datetime
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts a list shows; None lets all through."""

    rule_id: str | None = None
    camera_id: str | None = None
    person_id: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def check_condition(kind: str, condition: Condition) -> Condition:
    """Return a condition that a rule of this kind can have.

    Raises:
        InvalidArgument: ``CONDITION_INVALID``.
    """
    given = {
        "person_id": condition.person_id is not None,
        "watch_list_id": condition.watch_list_id is not None,
        "zone": bool(condition.zone),
        "min_score": condition.min_score is not None,
        "over": condition.over is not None,
        "for_s": condition.for_s > 0,
        "health": bool(condition.health),
    }
    for name, is_given in given.items():
        if is_given and name not in _FIELDS[kind]:
            raise _condition_invalid(name, f"does not count on a {kind} rule; leave it out")
    needed = _NEEDED.get(kind)
    if needed is not None and not given[needed]:
        raise _condition_invalid(needed, f"is needed on a {kind} rule")
    return condition


def days_of(names: "tuple[str, ...]") -> frozenset[int]:
    """Return the days of a window by number; without names, every day."""
    return frozenset(DAYS.index(name) for name in names) or frozenset(range(len(DAYS)))


def with_name(message: str, person_name: str) -> str:
    """Return the sentence of an alert with the name of the person as it is now."""
    if person_name and message.startswith(SOMEBODY):
        return person_name + message.removeprefix(SOMEBODY)
    return message


def rule_not_found(rule_id: str) -> NotFound:
    """Return the refusal for an id that no rule has."""
    return NotFound(
        "RULE_NOT_FOUND", "No rule has this id; list them with GET /alert-rules.", rule_id=rule_id
    )


def watch_list_not_found(watch_list_id: str) -> NotFound:
    """Return the refusal for an id that no watch list has."""
    return NotFound(
        "WATCH_LIST_NOT_FOUND",
        "No watch list has this id; list them with GET /watch-lists.",
        watch_list_id=watch_list_id,
    )


def alert_not_found(alert_id: str) -> NotFound:
    """Return the refusal for an id that no alert has."""
    return NotFound(
        "ALERT_NOT_FOUND", "No alert has this id; list them with GET /alerts.", alert_id=alert_id
    )


def etag_mismatch(noun: str) -> Aborted:
    """Return the refusal of a change to what somebody else has changed."""
    return Aborted(
        "ETAG_MISMATCH",
        f"Somebody changed the {noun} meanwhile; read it again, then repeat the change.",
    )


def request_id_reused(noun: str) -> AlreadyExists:
    """Return the refusal of a request id that belongs to another request."""
    return AlreadyExists(
        "REQUEST_ID_REUSED", f"This `request_id` made another {noun}; use a new one."
    )


def too_many(noun: str, most: int) -> ResourceExhausted:
    """Return the refusal of one more than there may be."""
    return ResourceExhausted(
        f"TOO_MANY_{noun.upper().replace(' ', '_')}S",
        f"There are {most} {noun}s, which is the most; remove one first.",
    )


def watch_list_in_use(watch_list_id: str, rule_name: str) -> FailedPrecondition:
    """Return the refusal to remove a list that a rule names."""
    return FailedPrecondition(
        "WATCH_LIST_IN_USE",
        f"The rule {rule_name!r} names this watch list; remove or change the rule first.",
        watch_list_id=watch_list_id,
    )


def _condition_invalid(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        "CONDITION_INVALID",
        f"`condition.{name}` {why}.",
        violations=[FieldViolation(field=f"condition.{name}", description=why)],
    )
