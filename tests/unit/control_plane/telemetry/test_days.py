"""A partition for each day on PostgreSQL: made when it is needed, dropped as a whole."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from control_plane.database import Database
from control_plane.engines import partitions
from control_plane.engines.postgres import PostgresEngine
from control_plane.telemetry.days import DAY_US, KEPT, SAMPLES, drop_before, telemetry_days
from control_plane.telemetry.model import microseconds
from tests.support.virtual_clock import VirtualClock

ROW = "INSERT INTO telemetry_samples VALUES ('c', :at, 1, '', 5, NULL, 0, 0)"


@pytest.fixture
def database_engine(on_postgres: str) -> str:
    """PostgreSQL alone: SQLite has no partitions."""
    return on_postgres


def today(clock: VirtualClock) -> int:
    return microseconds(clock.now()) // DAY_US


async def names(database: Database) -> list[str]:
    return await database.partition_names(SAMPLES)


def names_of(database: Database, *days: int) -> list[str]:
    return [telemetry_days(database).partition_of(day).name for day in days]


async def write(database: Database, *days: int) -> None:
    async with database.write() as tx:
        for day in days:
            await tx.session.execute(text(ROW), {"at": day * DAY_US})


async def rows(database: Database) -> int:
    async with database.read() as session:
        found = await session.scalar(text("SELECT count(*) FROM telemetry_samples"))
    return int(found)


async def test_several_at_once_make_each_day_once(database: Database, clock: VirtualClock) -> None:
    wanted = range(today(clock) - 3, today(clock) + 3)
    await asyncio.gather(*(telemetry_days(database).require(wanted) for _ in range(5)))
    assert await names(database) == [names_of(database, day)[0] for day in wanted]
    await write(database, *wanted)
    assert await rows(database) == len(wanted)


async def test_the_days_ahead_are_there_before_a_sample(
    database: Database, clock: VirtualClock
) -> None:
    await telemetry_days(database).prepare(clock.now())
    await write(database, today(clock), today(clock) + 1, today(clock) + 2)


async def test_a_day_goes_once_all_of_it_is_too_old(
    database: Database, clock: VirtualClock
) -> None:
    days = telemetry_days(database)
    kept = today(clock) - 29
    await days.require([kept - 1, kept, today(clock)])
    await write(database, kept - 1, kept, today(clock))
    end_of_the_first = clock.now() - timedelta(microseconds=microseconds(clock.now()) % DAY_US + 1)
    before = end_of_the_first - timedelta(days=29)
    assert await drop_before(database, days, before, now=clock.now()) == 0
    before += timedelta(microseconds=1)
    assert await drop_before(database, days, before, now=clock.now()) == 1
    assert await names(database) == [names_of(database, day)[0] for day in (kept, today(clock))]
    assert await rows(database) == 2


async def test_no_day_goes_that_a_sample_may_still_have(
    database: Database, clock: VirtualClock
) -> None:
    days = telemetry_days(database)
    oldest = microseconds(clock.now() - KEPT) // DAY_US
    await days.require([oldest - 1, oldest])
    await drop_before(database, days, clock.now(), now=clock.now())
    assert await names(database) == names_of(database, oldest)


@pytest.mark.parametrize("left_as", [partitions.DETACHED, partitions.PENDING])
async def test_a_drop_that_was_cut_off_is_brought_to_its_end(
    database: Database, clock: VirtualClock, left_as: str
) -> None:
    days, day = telemetry_days(database), today(clock) - 100
    await days.require([day])
    await write(database, day)
    name = names_of(database, day)[0]
    async with database.write() as tx:
        detach = f"ALTER TABLE telemetry_samples DETACH PARTITION {name}"
        if left_as == partitions.DETACHED:
            await tx.session.execute(text(detach))
    if left_as == partitions.PENDING:
        await cut_off(database, f"{detach} CONCURRENTLY")
    async with database.read() as session:
        assert await partitions.states(await session.connection(), SAMPLES) == {name: left_as}
    assert await drop_before(database, days, clock.now(), now=clock.now()) == 1
    assert await names(database) == []


async def test_readers_and_writers_go_on_while_a_day_goes(
    database: Database, clock: VirtualClock
) -> None:
    days, old = telemetry_days(database), today(clock) - 100
    await days.require([old, today(clock)])
    await write(database, old)
    async with database.read() as session:
        # a reader that holds its moment; the drop waits for it and for nobody else
        count = text("SELECT count(*) FROM telemetry_samples")
        assert await session.scalar(count) == 1
        drop = asyncio.create_task(drop_before(database, days, clock.now(), now=clock.now()))
        while names_of(database, old)[0] in await visible(database):  # noqa: ASYNC110 - it runs there
            await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            await write(database, today(clock))
            assert await rows(database) == 1
        assert not drop.done()
        assert await session.scalar(count) == 1
    assert await drop == 1


async def cut_off(database: Database, statement: str) -> None:
    """Cancel a statement while it waits for a reader."""
    engine = database._engine
    assert isinstance(engine, PostgresEngine)
    async with database.read() as session, engine._outside() as connection:
        await session.scalar(text("SELECT count(*) FROM telemetry_samples"))
        await connection.execute(text("SET statement_timeout = 100"))
        with pytest.raises(DBAPIError, match="statement timeout"):
            await connection.execute(text(statement))


async def visible(database: Database) -> set[str]:
    async with database.read() as session:
        found = await partitions.states(await session.connection(), SAMPLES)
    return {name for name, state in found.items() if state == partitions.ATTACHED}
