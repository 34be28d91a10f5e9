"""Holding a fact against a rule: does it raise an alert? Pure.

In come a rule, a fact and how things stand between the rule and the fact's subject; out come how
they stand then, and a finding where an alert is due. Two kinds of facts differ. Somebody seen and a
failure are moments: each may raise an alert. Health and a count are states: an alert is due once
for each time that the state lasts long enough, whether the news of it, the news of its end or the
timer (``still``) is what shows that it did.

Cooldown counts by subject. A moment within it is passed over; a state that outlasts it is told
then.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from control_plane.alerts.facts import Counted, Fact, Failed, HealthTold, Seen
from control_plane.alerts.model import (
    CAMERA_UNHEALTHY,
    DEFAULT_HEALTH,
    OCCUPANCY_OVER,
    PERSON_SEEN,
    SOMEBODY,
    UNKNOWN_SEEN,
    WATCH_LIST_SEEN,
    WORKER_ERROR,
    Rule,
)

_HEALTH_WORDS: Final = {"degraded": "degraded", "unhealthy": "unhealthy", "unknown": "silent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand between a rule and a subject.

    Attributes:
        since: Since when the state lasts; None where it does not.
        is_told: Whether this state was told already.
        raised_at: When the last alert of the subject was due.
    """

    since: datetime | None = None
    is_told: bool = False
    raised_at: datetime | None = None


NOTHING: Final = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An alert that is due: when it was the case, and since when a state lasts."""

    occurred_at: datetime
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How things stand after a fact, and the alert that is due, if one is."""

    standing: Standing
    finding: Finding | None = None


def is_about(rule: Rule, fact: Fact) -> bool:
    """Tell whether a rule has anything to say to a fact: its kind, its camera and its time."""
    condition = rule.condition
    if not rule.enabled or fact.told_at < rule.active_since:
        return False
    if condition.camera_ids and fact.camera_id not in condition.camera_ids:
        return False
    if isinstance(fact, Seen):
        return _is_wanted(rule, fact)
    if isinstance(fact, Failed):
        return rule.kind == WORKER_ERROR
    if isinstance(fact, HealthTold):
        return rule.kind == CAMERA_UNHEALTHY
    return rule.kind == OCCUPANCY_OVER and condition.zone == fact.zone


def subject_of(rule: Rule, fact: Fact) -> str:
    """Return what cooldown and states of a rule are counted by."""
    if isinstance(fact, Seen) and fact.person_id is not None:
        return subject_of_person(fact.camera_id, fact.person_id)
    return f"{fact.camera_id}|{rule.condition.zone}"


def subject_of_person(camera_id: str, person_id: str) -> str:
    """Return what cooldown is counted by where a known person is seen."""
    return f"{camera_id}|{person_id}"


def judge(
    rule: Rule, fact: Fact, standing: Standing, *, lasted_until: datetime | None = None
) -> Verdict:
    """Hold a fact against a rule that ``is_about`` it.

    Args:
        rule: The rule.
        fact: The fact.
        standing: How things stand with the fact's subject.
        lasted_until: When people were last counted before a count that ends a state.
    """
    if isinstance(fact, Seen):
        return _moment(rule, standing, at=fact.told_at, seen_at=fact.seen_at)
    if isinstance(fact, Failed):
        return _moment(rule, standing, at=fact.told_at, seen_at=fact.told_at)
    if isinstance(fact, HealthTold):
        holds = fact.health in (rule.condition.health or DEFAULT_HEALTH)
        ended_unseen = fact.is_looked_at and not holds
        return _change(
            rule,
            standing,
            holds=holds,
            at=fact.told_at,
            lasted_until=None if ended_unseen else fact.told_at,
        )
    return _count(rule, fact, standing, lasted_until)


def still(rule: Rule, standing: Standing, *, until: datetime) -> Verdict:
    """Judge a state that is known to have lasted until a time."""
    since = standing.since
    if since is None or standing.is_told:
        return Verdict(standing=standing)
    lasted = until - since >= timedelta(seconds=rule.condition.for_s)
    if not lasted or not _is_due(rule, standing, at=until, seen_at=until):
        return Verdict(standing=standing)
    return Verdict(
        standing=dataclasses.replace(standing, is_told=True, raised_at=until),
        finding=Finding(occurred_at=until, since=since),
    )


def sentence_of(
    rule: Rule, fact: Fact, *, camera_name: str, watch_list_name: str, since: datetime | None = None
) -> str:
    """Return an alert's sentence, without the name of a person: that is filled in when it is read.

    Args:
        rule: The rule.
        fact: What showed that the alert is due.
        camera_name: Name of the camera.
        watch_list_name: Name of the rule's watch list, where it has one.
        since: Since when a state lasts.
    """
    where = f"at {camera_name}"
    if rule.condition.zone:
        where = f"{where} in {rule.condition.zone}"
    if isinstance(fact, Seen):
        who = {
            PERSON_SEEN: SOMEBODY,
            WATCH_LIST_SEEN: f"{SOMEBODY} of the watch list {watch_list_name}",
        }.get(rule.kind, "Somebody unknown")
        return f"{who} was seen {where}."
    if isinstance(fact, Failed):
        return f"The worker of {camera_name} failed. {fact.sentence}".rstrip()
    lasting = ""
    if since is not None and rule.condition.for_s:
        lasting = f" for {rule.condition.for_s} seconds or more"
    if isinstance(fact, HealthTold):
        return f"{camera_name} is {_HEALTH_WORDS.get(fact.health, 'unhealthy')}{lasting}."
    return f"More than {rule.condition.over} people are {where}{lasting}."


def _is_wanted(rule: Rule, fact: Seen) -> bool:
    condition = rule.condition
    if condition.zone and condition.zone not in fact.zones:
        return False
    if condition.min_score is not None and fact.score < condition.min_score:
        return False
    if rule.kind == UNKNOWN_SEEN:
        return fact.decision == "unknown"
    if fact.person_id is None:
        return False
    if rule.kind == PERSON_SEEN:
        return fact.person_id == condition.person_id
    return rule.kind == WATCH_LIST_SEEN and condition.watch_list_id in fact.watch_lists


def _moment(rule: Rule, standing: Standing, *, at: datetime, seen_at: datetime) -> Verdict:
    if not _is_due(rule, standing, at=at, seen_at=seen_at):
        return Verdict(standing=standing)
    return Verdict(
        standing=dataclasses.replace(standing, raised_at=at), finding=Finding(occurred_at=seen_at)
    )


def _count(rule: Rule, fact: Counted, standing: Standing, lasted_until: datetime | None) -> Verdict:
    holds = rule.condition.over is not None and fact.people > rule.condition.over
    if fact.is_late:
        # it tells of a moment that has passed: enough for a rule that asks for no more
        if not holds or rule.condition.for_s or standing.since is not None:
            return Verdict(standing=standing)
        return _moment(rule, standing, at=fact.told_at, seen_at=fact.counted_at)
    return _change(
        rule,
        standing,
        holds=holds,
        at=fact.counted_at,
        # a count over the limit shows by itself that the state lasts
        lasted_until=fact.counted_at if holds else lasted_until,
    )


def _change(
    rule: Rule,
    standing: Standing,
    *,
    holds: bool,
    at: datetime,
    lasted_until: datetime | None,
) -> Verdict:
    before = Verdict(standing=standing)
    if lasted_until is not None:
        before = still(rule, standing, until=lasted_until)
    if not holds:
        return Verdict(
            standing=Standing(raised_at=before.standing.raised_at), finding=before.finding
        )
    if before.standing.since is not None:
        return before
    return still(rule, dataclasses.replace(before.standing, since=at), until=at)


def _is_due(rule: Rule, standing: Standing, *, at: datetime, seen_at: datetime) -> bool:
    window = rule.condition.window
    if window is not None and not window.holds(seen_at):
        return False
    return standing.raised_at is None or (
        at - standing.raised_at >= timedelta(seconds=rule.cooldown_s)
    )
