"""Each fact is judged once: over crashes, beside other replicas, and after a restart."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from control_plane.alerts import judge as judging
from control_plane.alerts.judge import AlertJudge
from control_plane.alerts.model import Condition, RuleChange
from control_plane.alerts.rules import RuleStore
from control_plane.alerts.store import add_alert
from control_plane.alerts.tables import AlertCursorRow, AlertRow, AlertStandingRow
from control_plane.database import Database
from control_plane.events.compaction import compact
from control_plane.events.tables import EventRow
from tests.support.virtual_clock import VirtualClock
from tests.unit.control_plane.alerts.conftest import CAMERA


async def make_rule(database: Database, *, cooldown_s: int = 0) -> str:
    rule = await RuleStore(database).create(
        name="rule", description="", kind="unknown_seen", severity="info", enabled=True,
        condition=Condition(), cooldown_s=cooldown_s, request_id="", request_digest="",
    )  # fmt: skip
    return rule.id


async def sight(database: Database, *names: str, type_: str = "sighting.created") -> None:
    async with database.write() as tx:
        for name in names:
            sighting = {
                "id": name, "decision": "unknown", "score": 0.2,
                "ended_at": tx.now.isoformat(),
            }  # fmt: skip
            await tx.append_event(
                type_, camera_id=CAMERA, sighting_id=name, payload={"sighting": sighting}
            )


async def raised(database: Database) -> list[str]:
    async with database.read() as session:
        return sorted(str(one) for one in await session.scalars(select(AlertRow.sighting_id)))


async def alert_events(database: Database) -> int:
    async with database.read() as session:
        query = select(func.count()).select_from(EventRow).where(EventRow.type == "alert.raised")
        return await session.scalar(query) or 0


async def drain(judge: AlertJudge) -> None:
    while await judge.judge_events():
        pass


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_crash_between_two_alerts_loses_and_doubles_none(
    replicas: tuple[Database, Database], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:  # fmt: skip
    database, _ = replicas
    await make_rule(database)
    await sight(database, "a", "b", "c")
    written = add_alert
    count = 0

    async def crash(*arguments: Any) -> None:
        nonlocal count
        await written(*arguments)
        count += 1
        if count > after:
            raise Crash

    monkeypatch.setattr(judging, "add_alert", crash)
    with pytest.raises(Crash):
        await AlertJudge(database, clock).judge_events()
    assert await raised(database) == []
    monkeypatch.setattr(judging, "add_alert", written)
    await drain(AlertJudge(database, clock))
    assert await raised(database) == ["a", "b", "c"]
    assert await alert_events(database) == 3


async def test_replicas_that_judge_at_once_raise_one_alert(
    replicas: tuple[Database, Database], clock: VirtualClock
) -> None:
    first, second = replicas
    await make_rule(first)
    names = [f"s{number:03}" for number in range(40)]
    for name in names:
        await sight(first, name)
    judges = [AlertJudge(database, clock) for database in (first, second, first, second)]
    await asyncio.gather(*(drain(judge) for judge in judges))
    assert await raised(first) == names
    assert await alert_events(first) == len(names)
    # told again of the same sightings: nobody is told twice
    await sight(first, *names, type_="sighting.updated")
    await asyncio.gather(*(drain(judge) for judge in judges))
    assert await raised(first) == names


async def test_cooldown_is_known_after_a_restart(
    replicas: tuple[Database, Database], clock: VirtualClock
) -> None:
    database, other = replicas
    await make_rule(database, cooldown_s=60)
    await sight(database, "a")
    await drain(AlertJudge(database, clock))
    await clock.advance(59)
    await sight(database, "b")
    await drain(AlertJudge(other, clock))
    assert await raised(database) == ["a"]
    await clock.advance(1)
    await sight(database, "c")
    await drain(AlertJudge(other, clock))
    assert await raised(database) == ["a", "c"]


async def test_more_events_than_one_transaction_takes(
    replicas: tuple[Database, Database], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = replicas
    monkeypatch.setattr(judging, "BATCH", 3)
    await make_rule(database)
    names = [f"s{number}" for number in range(8)]
    await sight(database, *names)
    await drain(AlertJudge(database, clock))
    assert await raised(database) == names


async def test_without_a_rule_the_cursor_follows_from_afar(
    replicas: tuple[Database, Database], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = replicas
    monkeypatch.setattr(judging, "_LONGEST_LAG", 5)
    judge = AlertJudge(database, clock)

    async def cursor() -> int:
        async with database.read() as session:
            return (await session.get_one(AlertCursorRow, 1)).sequence

    start = await cursor()
    await sight(database, "a")
    await drain(judge)
    assert await cursor() == start
    await sight(database, *"bcdef")
    await drain(judge)
    assert await cursor() >= start + 6
    await clock.advance(1)
    await make_rule(database)
    await drain(judge)
    assert await raised(database) == []


async def test_events_that_are_gone_hold_nobody_up(
    replicas: tuple[Database, Database], clock: VirtualClock
) -> None:
    database, _ = replicas
    await make_rule(database)
    await sight(database, "a")
    await clock.advance(1)
    await compact(database, older_than=timedelta(0), keep=0)
    await sight(database, "b")
    await drain(AlertJudge(database, clock))
    assert await raised(database) == ["b"]


async def test_a_state_whose_rule_changed_meanwhile_begins_anew(
    replicas: tuple[Database, Database], clock: VirtualClock
) -> None:
    database, _ = replicas
    rule_id = await make_rule(database)
    await sight(database, "a")
    await drain(AlertJudge(database, clock))
    await RuleStore(database).update(rule_id, RuleChange(condition=Condition(min_score=0.1)))
    async with database.read() as session:
        assert (await session.scalars(select(AlertStandingRow))).all() == []


async def test_the_task_judges_as_soon_as_something_is_committed(
    replicas: tuple[Database, Database], clock: VirtualClock
) -> None:
    database, _ = replicas
    await make_rule(database)
    task = asyncio.create_task(AlertJudge(database, clock).run())
    try:
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
