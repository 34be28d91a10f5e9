"""What cannot be judged is set aside: said once, without its content, and the rest goes on."""

import asyncio
import functools
from datetime import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from control_plane.alerts import judge as judging
from control_plane.alerts.judge import TICK_S, AlertJudge
from control_plane.alerts.model import Condition
from control_plane.alerts.quarantine import NOT_JUDGED_TOTAL
from control_plane.alerts.rules import RuleStore
from control_plane.alerts.windows import Window
from control_plane.database import Database
from control_plane.engines.port import DatabaseBusy
from tests.support.alerts import until
from tests.support.virtual_clock import VirtualClock
from tests.unit.control_plane.alerts.conftest import CAMERA
from tests.unit.control_plane.alerts.test_once import drain, make_rule, raised, sight

SECRET = "somebody unmistakable"


def failures(what: str) -> float:
    return float(NOT_JUDGED_TOTAL.labels(what=what)._value.get())


async def break_the_feed(database: Database) -> None:
    """Append a sighting as no version of this program writes it."""
    async with database.write() as tx:
        broken = {"id": "broken", "decision": "unknown", "score": SECRET, "ended_at": SECRET}
        await tx.append_event("sighting.created", camera_id=CAMERA, payload={"sighting": broken})


@pytest.mark.parametrize("batch", [1, 4, 200])
async def test_an_event_that_cannot_be_read_is_set_aside_and_the_others_are_judged(
    replicas: tuple[Database, Database],
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    database, other = replicas
    monkeypatch.setattr(judging, "BATCH", batch)
    await make_rule(database)
    await sight(database, "a", "b")
    await break_the_feed(database)
    await sight(database, "c")
    await break_the_feed(database)
    await sight(database, "d", "e", "f")
    before = failures("event")
    judge = AlertJudge(database, clock)
    with capture_logs() as logs:
        await drain(judge)
        await drain(AlertJudge(other, clock))
    assert await raised(database) == ["a", "b", "c", "d", "e", "f"]
    assert failures("event") - before == 2
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [line["event"] for line in errors] == ["alerts.not_judged"] * 2
    assert {line["event_type"] for line in errors} == {"sighting.created"}
    assert len({line["sequence"] for line in errors}) == 2
    assert all(line["at"].startswith("alerts/facts.py:") for line in errors)
    assert SECRET not in str(logs)


async def test_judges_who_meet_the_same_event_set_aside_no_other_one(
    replicas: tuple[Database, Database], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = replicas
    monkeypatch.setattr(judging, "BATCH", 2)
    await make_rule(first)
    names = []
    for number in range(6):
        names += [f"s{number}a", f"s{number}b"]
        await sight(first, *names[-2:])
        await break_the_feed(first)
    before = failures("event")
    await asyncio.gather(*(drain(AlertJudge(one, clock)) for one in (first, second, first)))
    assert await raised(first) == names
    assert failures("event") - before == 6


async def test_a_rule_that_fails_leaves_the_others_their_alerts(
    replicas: tuple[Database, Database], clock: VirtualClock
) -> None:
    database, _ = replicas
    # a time zone that was there when the rule was made
    gone = Window(days=frozenset(range(7)), start=time(0), end=time(12), time_zone="Europe/Nowhere")
    await RuleStore(database).create(
        name=SECRET, description="", kind="unknown_seen", severity="info", enabled=True,
        condition=Condition(window=gone), cooldown_s=0, request_id="", request_digest="",
    )  # fmt: skip
    await make_rule(database)
    await sight(database, "a", "b")
    before = failures("rule")
    with capture_logs() as logs:
        await drain(AlertJudge(database, clock))
    assert await raised(database) == ["a", "b"]
    assert failures("rule") - before == 2
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["what"], line["error"]) == ("rule", "ZoneInfoNotFoundError")
    assert SECRET not in str(logs)


async def test_the_task_outlives_what_fails_on_the_timer(
    replicas: tuple[Database, Database], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = replicas
    await RuleStore(database).create(
        name="health", description="", kind="camera_unhealthy", severity="info", enabled=True,
        condition=Condition(), cooldown_s=0, request_id="", request_digest="",
    )  # fmt: skip
    await make_rule(database)

    async def fail(*_: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(judging, "health_now", fail)
    before = failures("timer")

    def has_failed(times: float) -> bool:
        return failures("timer") == times

    with capture_logs() as logs:
        task = asyncio.create_task(AlertJudge(database, clock).run())
        try:
            for times in (1, 2):
                await until(lambda: clock.sleepers > 0)
                await clock.advance(TICK_S)
                await until(functools.partial(has_failed, before + times))
            await sight(database, "a")
            while True:
                committed = database.committed.next()
                if await raised(database):
                    break
                await committed.wait()
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert len([line for line in logs if line["log_level"] == "error"]) == 1
    assert SECRET not in str(logs)


async def test_a_database_that_is_away_is_no_fault_of_the_event(
    replicas: tuple[Database, Database], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = replicas
    await make_rule(database)
    await sight(database, "a")
    judge = AlertJudge(database, clock)

    async def away(*_: Any) -> None:
        raise DatabaseBusy

    with monkeypatch.context() as patch:
        patch.setattr(judging, "docket_for", away)
        with pytest.raises(DatabaseBusy):
            await judge.judge_events()
    await drain(judge)
    assert await raised(database) == ["a"]
