"""Facts against rules, without a database: what is due, when, and what is passed over."""

import dataclasses
import itertools
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.alerts.facts import Counted, Fact, Failed, HealthTold, Seen, Told, facts_of
from control_plane.alerts.judging import (
    NOTHING,
    Finding,
    Standing,
    is_about,
    judge,
    sentence_of,
    still,
    subject_of,
)
from control_plane.alerts.model import Condition, Rule, check_condition, days_of, with_name
from control_plane.alerts.windows import Window
from service_runtime.errors import InvalidArgument

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def rule(kind: str, *, cooldown_s: int = 0, enabled: bool = True, **condition: Any) -> Rule:
    return Rule(
        id="r", name="rule", description="", kind=kind, severity="info", enabled=enabled,
        condition=Condition(**condition), cooldown_s=cooldown_s, active_since=START,
        created_at=START, updated_at=START, version=1,
    )  # fmt: skip


def seen(decision: str = "match", person_id: str | None = "ada", **changes: Any) -> Seen:
    fact = Seen(
        camera_id="door", told_at=at(10), seen_at=at(9), sighting_id="s", decision=decision,
        person_id=person_id if decision == "match" else None, score=0.7, centre=(0.5, 0.5),
        zones=frozenset({"hall"}), watch_lists=frozenset({"guests"}),
    )  # fmt: skip
    return dataclasses.replace(fact, **changes)


FAILED = Failed(camera_id="door", told_at=at(10), reason="refused", sentence="It refuses.")
SICK = HealthTold(camera_id="door", told_at=at(10), health="unhealthy")
CROWD = Counted(
    camera_id="door", told_at=at(10), zone="", counted_at=at(9), people=6, is_late=False
)


@pytest.mark.parametrize(
    ("shown", "fact", "about"),
    [
        (rule("person_seen", person_id="ada"), seen(), True),
        (rule("person_seen", person_id="bob"), seen(), False),
        (rule("person_seen", person_id="ada"), seen("review"), False),
        (rule("person_seen", person_id="ada"), seen("unknown"), False),
        (rule("person_seen", person_id="ada", min_score=0.7), seen(), True),
        (rule("person_seen", person_id="ada", min_score=0.71), seen(), False),
        (rule("person_seen", person_id="ada", zone="hall"), seen(), True),
        (rule("person_seen", person_id="ada", zone="yard"), seen(), False),
        (rule("person_seen", person_id="ada", camera_ids=("door",)), seen(), True),
        (rule("person_seen", person_id="ada", camera_ids=("gate",)), seen(), False),
        (rule("person_seen", person_id="ada", enabled=False), seen(), False),
        (rule("person_seen", person_id="ada"), seen(told_at=at(-1)), False),
        (rule("watch_list_seen", watch_list_id="guests"), seen(), True),
        (rule("watch_list_seen", watch_list_id="staff"), seen(), False),
        (rule("watch_list_seen", watch_list_id="guests"), seen("unknown"), False),
        (rule("unknown_seen"), seen("unknown"), True),
        (rule("unknown_seen"), seen("review"), False),
        (rule("unknown_seen"), seen(), False),
        (rule("unknown_seen"), FAILED, False),
        (rule("worker_error"), FAILED, True),
        (rule("worker_error"), SICK, False),
        (rule("camera_unhealthy"), SICK, True),
        (rule("camera_unhealthy"), CROWD, False),
        (rule("occupancy_over", over=5), CROWD, True),
        (rule("occupancy_over", over=5, zone="hall"), CROWD, False),
    ],
)
def test_what_a_rule_is_about(shown: Rule, fact: Fact, about: bool) -> None:
    assert is_about(shown, fact) is about


def test_subjects_tell_people_and_cameras_apart() -> None:
    listed = rule("watch_list_seen", watch_list_id="guests")
    assert subject_of(listed, seen()) != subject_of(listed, seen(person_id="bob"))
    assert subject_of(listed, seen()) != subject_of(listed, seen(camera_id="gate"))
    assert subject_of(rule("unknown_seen"), seen("unknown")) == "door|"
    assert subject_of(rule("occupancy_over", over=1, zone="hall"), CROWD) == "door|hall"


def test_a_window_is_asked_when_somebody_was_seen_not_when_it_was_told() -> None:
    night = Window(days=days_of(()), start=time(22), end=time(6), time_zone="UTC")
    shown = rule("unknown_seen", window=night)
    late = datetime(2026, 1, 2, 12, tzinfo=UTC)
    by_night = seen("unknown", told_at=late, seen_at=datetime(2026, 1, 2, 3, tzinfo=UTC))
    by_day = seen("unknown", told_at=late, seen_at=late)
    assert judge(shown, by_night, NOTHING).finding == Finding(occurred_at=by_night.seen_at)
    assert judge(shown, by_day, NOTHING).finding is None


@given(
    gaps=st.lists(st.integers(0, 100), max_size=30),
    cooldown=st.integers(0, 150),
)
def test_moments_are_told_once_a_cooldown(gaps: list[int], cooldown: int) -> None:
    shown, standing = rule("unknown_seen", cooldown_s=cooldown), NOTHING
    told: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        verdict = judge(shown, seen("unknown", told_at=at(now), seen_at=at(now)), standing)
        standing = verdict.standing
        quiet = bool(told) and now - told[-1] < cooldown
        assert (verdict.finding is None) is quiet
        if verdict.finding is not None:
            told.append(now)
    assert all(later - earlier >= cooldown for earlier, later in itertools.pairwise(told))


RUNS = st.lists(st.tuples(st.booleans(), st.integers(1, 50)), min_size=1, max_size=12)


@given(runs=RUNS, for_s=st.integers(0, 60), every=st.integers(1, 40))
def test_a_state_is_told_once_each_time_that_it_lasts_long_enough(
    runs: list[tuple[bool, int]], for_s: int, every: int
) -> None:
    shown, standing = rule("camera_unhealthy", for_s=for_s), NOTHING
    changes = {0: runs[0][0]}
    end = 0
    for sick, length in runs:
        changes[end] = sick
        end += length
    findings: list[Finding] = []
    sick = False
    for now in range(end + 1):
        # what is told when it changes, and what the timer looks at in between
        told = now in changes or now == end
        if now in changes:
            sick = changes[now]
        if told or now % every == 0:
            health = "unhealthy" if sick and now < end else "healthy"
            fact = HealthTold(
                camera_id="door", told_at=at(now), health=health, is_looked_at=not told
            )
            verdict = judge(shown, fact, standing)
            standing = verdict.standing
            findings += [verdict.finding] if verdict.finding is not None else []
    lasting: list[datetime] = []
    since: int | None = None
    for now in [*sorted(changes), end]:
        sick_now = changes.get(now, False) and now < end
        if sick_now and since is None:
            since = now
        if not sick_now and since is not None:
            lasting += [at(since)] if now - since >= for_s else []
            since = None
    assert [finding.since for finding in findings] == lasting
    for finding in findings:
        assert finding.since is not None
        assert finding.occurred_at - finding.since >= timedelta(seconds=for_s)


def counted(seconds: float, people: int, *, is_late: bool = False) -> Counted:
    return dataclasses.replace(CROWD, counted_at=at(seconds), people=people, is_late=is_late)


def test_a_crowd_must_be_counted_over_the_whole_time() -> None:
    shown = rule("occupancy_over", over=5, for_s=60)
    standing = judge(shown, counted(0, 6), NOTHING).standing
    assert standing == Standing(since=at(0))
    # counted last at 50 s, and fewer at 70 s: nobody knows that it lasted for 60 s
    ended = judge(shown, counted(70, 0), standing, lasted_until=at(50))
    assert (ended.finding, ended.standing) == (None, NOTHING)
    lasted = judge(shown, counted(70, 0), standing, lasted_until=at(60))
    assert lasted.finding == Finding(occurred_at=at(60), since=at(0))
    # the timer saw it before: then the end of it tells nothing more
    looked = judge(shown, counted(60, 7), standing)
    assert looked.finding == Finding(occurred_at=at(60), since=at(0))
    assert judge(shown, counted(65, 8), looked.standing).finding is None
    assert judge(shown, counted(70, 0), looked.standing, lasted_until=at(65)).finding is None


def test_a_late_count_is_a_moment() -> None:
    at_once, lasting = rule("occupancy_over", over=5), rule("occupancy_over", over=5, for_s=1)
    late = counted(1, 6, is_late=True)
    assert judge(at_once, late, NOTHING).finding == Finding(occurred_at=at(1))
    assert judge(at_once, late, NOTHING).standing.since is None
    assert judge(at_once, counted(1, 5, is_late=True), NOTHING).finding is None
    assert judge(lasting, late, NOTHING) == judge(lasting, counted(1, 5, is_late=True), NOTHING)


def test_a_state_that_outlasts_the_cooldown_is_told_then() -> None:
    shown = rule("occupancy_over", over=5, cooldown_s=60)
    standing = judge(shown, counted(0, 6), NOTHING).standing
    standing = judge(shown, counted(10, 0), standing).standing
    again = judge(shown, counted(20, 6), standing)
    assert again.finding is None
    assert still(shown, again.standing, until=at(59)).finding is None
    told = still(shown, again.standing, until=at(60))
    assert told.finding == Finding(occurred_at=at(60), since=at(20))
    assert still(shown, told.standing, until=at(600)).finding is None


def test_sentences_name_nobody() -> None:
    listed = rule("watch_list_seen", watch_list_id="guests", zone="hall")
    sentence = sentence_of(listed, seen(), camera_name="Door", watch_list_name="Guests")
    assert sentence == "A known person of the watch list Guests was seen at Door in hall."
    assert with_name(sentence, "Ada") == ("Ada of the watch list Guests was seen at Door in hall.")
    assert with_name(sentence, "") == sentence
    shown = [
        sentence_of(shown, fact, camera_name="Door", watch_list_name="", since=at(0))
        for shown, fact in (
            (rule("unknown_seen"), seen("unknown")),
            (rule("worker_error"), FAILED),
            (rule("camera_unhealthy", for_s=30), SICK),
            (rule("camera_unhealthy"), dataclasses.replace(SICK, health="unknown")),
            (rule("occupancy_over", over=5, for_s=9), CROWD),
        )
    ]
    assert shown == [
        "Somebody unknown was seen at Door.",
        "The worker of Door failed. It refuses.",
        "Door is unhealthy for 30 seconds or more.",
        "Door is silent.",
        "More than 5 people are at Door for 9 seconds or more.",
    ]


@pytest.mark.parametrize(
    ("kind", "condition", "field"),
    [
        ("person_seen", Condition(), "person_id"),
        ("person_seen", Condition(person_id="a", watch_list_id="w"), "watch_list_id"),
        ("watch_list_seen", Condition(), "watch_list_id"),
        ("unknown_seen", Condition(over=1), "over"),
        ("unknown_seen", Condition(person_id="a"), "person_id"),
        ("camera_unhealthy", Condition(zone="z"), "zone"),
        ("worker_error", Condition(for_s=1), "for_s"),
        ("worker_error", Condition(min_score=0.1), "min_score"),
        ("occupancy_over", Condition(), "over"),
        ("occupancy_over", Condition(over=0, health=("unknown",)), "health"),
    ],
)
def test_a_condition_that_a_kind_cannot_have(kind: str, condition: Condition, field: str) -> None:
    with pytest.raises(InvalidArgument, match=field) as refusal:
        check_condition(kind, condition)
    assert refusal.value.violations[0].field == f"condition.{field}"


def test_a_condition_comes_back_from_the_database_as_it_was() -> None:
    window = Window(days=days_of(("mon",)), start=time(22), end=time(6, 30), time_zone="UTC")
    whole = Condition(
        person_id="p", watch_list_id="w", camera_ids=("a", "b"), zone="z", window=window,
        min_score=0.5, over=3, for_s=9, health=("unknown",),
    )  # fmt: skip
    for one in (whole, Condition()):
        kept = Condition.from_json(
            one.to_json(), person_id=one.person_id, watch_list_id=one.watch_list_id
        )
        assert kept == one


def test_events_that_an_erasure_has_emptied_tell_nothing() -> None:
    for type_ in ("sighting.created", "sighting.updated", "alert.raised"):
        told = Told(type=type_, camera_id="door", payload={}, created_at=START)
        assert not [fact for fact in facts_of(told) if isinstance(fact, Seen)]


def test_a_camera_that_is_not_meant_to_run_has_no_health() -> None:
    def health(desired_state: str, **runtime: str) -> list[str]:
        payload = {"camera": {"desired_state": desired_state}, "runtime": runtime}
        told = Told(type="worker.heartbeat", camera_id="c", payload=payload, created_at=START)
        return [fact.health for fact in facts_of(told) if isinstance(fact, HealthTold)]

    assert health("running", health_status="unhealthy") == ["unhealthy"]
    assert health("stopped", health_status="unhealthy") == [""]
