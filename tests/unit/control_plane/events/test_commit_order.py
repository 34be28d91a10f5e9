"""The later number tries to commit first; whoever watches misses nothing and sees one order."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database
from control_plane.engines.postgres import PostgresEngine
from control_plane.events.feed import ChangeFeed
from service_runtime.clock import SystemClock
from service_runtime.resume_tokens import ResumeToken
from tests.support.postgres import PostgresSite


@pytest.fixture
async def replicas(postgres: PostgresSite) -> AsyncIterator[tuple[Database, Database]]:
    """Two control planes' databases, which are one."""
    name = await postgres.fresh()
    clock = SystemClock()
    both = [Database(PostgresEngine(postgres.url(name), clock), clock) for _ in range(2)]
    for database in both:
        await database.open()
    yield both[0], both[1]
    for database in both:
        await database.close()
    await postgres.drop(name)


async def append(database: Database, type_: str) -> None:
    async with database.write() as tx:
        await tx.append_event(type_, payload={})


async def waits_for_its_turn(database: Database) -> bool:
    async with database.read() as session:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return bool(await session.scalar(text(query)))


class Watcher:
    """What one watcher has been told."""

    def __init__(self, database: Database, start: ResumeToken) -> None:
        self._batches = ChangeFeed(database, SystemClock()).subscribe(start)
        self.seen: list[str] = []

    async def until(self, type_: str) -> None:
        while type_ not in self.seen:
            batch = await anext(self._batches)
            self.seen += [event.type for event in batch.events]

    async def close(self) -> None:
        await self._batches.aclose()


async def later_number_wants_to_commit_first(one: Database, other: Database) -> list[str]:
    """Take a number and keep it while another writer comes; return what a watcher is told."""
    async with one.read() as session:
        start = await ChangeFeed(one, SystemClock()).head(session)
    watcher = Watcher(one, start)
    async with one.write() as tx:
        await tx.append_event("test.earlier", payload={})
        await tx.number_events()
        later = asyncio.create_task(append(other, "test.later"))
        while not later.done() and not await waits_for_its_turn(one):
            pass  # each look lets the writer go on
        if later.done():
            # it overtook: the watcher is told of it before the earlier is committed
            await watcher.until("test.later")
    await later
    await append(one, "test.last")
    await watcher.until("test.last")
    await watcher.close()
    return watcher.seen


async def test_a_watcher_sees_every_event_in_order(replicas: tuple[Database, Database]) -> None:
    assert await later_number_wants_to_commit_first(*replicas) == [
        "test.earlier",
        "test.later",
        "test.last",
    ]


async def test_without_a_turn_the_same_scenario_loses_an_event(
    replicas: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_engine: PostgresEngine, _session: AsyncSession) -> None:
        """Take numbers without waiting for those who took theirs before."""

    monkeypatch.setattr(PostgresEngine, "line_up", at_once)
    assert await later_number_wants_to_commit_first(*replicas) == ["test.later", "test.last"]


async def test_many_writers_of_two_replicas_some_of_whom_give_up(
    replicas: tuple[Database, Database],
) -> None:
    one, other = replicas
    async with one.read() as session:
        start = await ChangeFeed(one, SystemClock()).head(session)
    watchers = [Watcher(one, start), Watcher(other, start)]
    following = [asyncio.create_task(database.follow_others()) for database in replicas]
    choose = random.Random(7)
    kept: set[str] = set()

    async def write(number: int, database: Database, pauses: list[int], *, gives_up: bool) -> None:
        with contextlib.suppress(ZeroDivisionError):
            async with database.write() as tx:
                await tx.append_event(f"test.{number}", payload={})
                for _ in range(pauses[0]):
                    await asyncio.sleep(0)
                await tx.number_events()
                for _ in range(pauses[1]):
                    await asyncio.sleep(0)
                if gives_up:
                    raise ZeroDivisionError
        if not gives_up:
            kept.add(f"test.{number}")

    async with asyncio.TaskGroup() as writing:
        told = [writing.create_task(watcher.until("test.end")) for watcher in watchers]
        async with asyncio.TaskGroup() as writers:
            for number in range(120):
                writers.create_task(
                    write(
                        number,
                        choose.choice(replicas),
                        [choose.randrange(20), choose.randrange(20)],
                        gives_up=choose.random() < 0.2,
                    )
                )
        await append(one, "test.end")
    assert all(task.done() for task in told)
    assert watchers[0].seen == watchers[1].seen
    assert len(watchers[0].seen) == len(kept) + 1
    assert set(watchers[0].seen) == kept | {"test.end"}
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    for watcher in watchers:
        await watcher.close()


async def test_a_watcher_of_one_replica_is_woken_by_the_other(
    replicas: tuple[Database, Database],
) -> None:
    one, other = replicas
    following = asyncio.create_task(one.follow_others())
    listening = one.committed.next()
    await listening.wait()  # the hint that it gives when it has begun to listen
    async with one.read() as session:
        start = await ChangeFeed(one, SystemClock()).head(session)
    watcher = Watcher(one, start)
    waiting = asyncio.create_task(watcher.until("test.of_the_other"))
    await append(other, "test.of_the_other")
    await waiting
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await watcher.close()
