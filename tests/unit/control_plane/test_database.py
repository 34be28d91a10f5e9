"""A change and its event: both or neither, in order, also when somebody gives up half-way."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError

from control_plane.database import Database, Transaction
from control_plane.engines.port import DatabaseUnavailable
from control_plane.engines.sqlite import SqliteEngine
from control_plane.events.tables import EventRow, FeedRow
from control_plane.schema import migrate
from tests.support.virtual_clock import VirtualClock


async def events_in(database: Database) -> list[tuple[int, str]]:
    async with database.read() as session:
        query = select(EventRow).order_by(EventRow.sequence)
        return [(row.sequence, row.type) for row in await session.scalars(query)]


async def change(tx: Transaction, number: int) -> None:
    feed = await tx.session.get_one(FeedRow, 1)
    feed.compacted_through = number


async def test_a_change_and_its_event_are_there_together(database: Database) -> None:
    async with database.write() as tx:
        await change(tx, 7)
        await tx.append_event("camera.created", payload={})
        assert await tx.number_events() == 1
    assert await events_in(database) == [(1, "camera.created")]
    async with database.read() as session:
        assert (await session.get_one(FeedRow, 1)).compacted_through == 7


async def test_a_change_that_fails_leaves_no_event(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as tx:
            await change(tx, 7)
            await tx.append_event("camera.created", payload={})
            raise ZeroDivisionError
    assert await events_in(database) == []
    async with database.read() as session:
        assert (await session.get_one(FeedRow, 1)).compacted_through == 0


async def test_many_writers_get_numbers_without_a_gap(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.write() as tx:
            await tx.append_event(f"test.{number}", payload={})

    await asyncio.gather(*(write(number) for number in range(20)))
    assert [sequence for sequence, _ in await events_in(database)] == list(range(1, 21))


async def test_a_reader_sees_one_moment(database: Database) -> None:
    async with database.read() as session:
        assert (await session.scalars(select(EventRow))).all() == []
        async with database.write() as tx:
            await tx.append_event("camera.created", payload={})
        assert (await session.scalars(select(EventRow))).all() == []
    assert len(await events_in(database)) == 1


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.read() as session:
            (await session.get_one(FeedRow, 1)).compacted_through = 1
            await session.flush()


async def test_a_commit_wakes_who_waits(database: Database) -> None:
    committed = database.committed.next()
    async with database.write() as tx:
        await tx.append_event("camera.created", payload={})
        assert not committed.is_set()
    assert committed.is_set()


@pytest.mark.parametrize("steps", range(0, 24, 3))
async def test_a_writer_that_is_cancelled_blocks_nobody(database: Database, steps: int) -> None:
    async def write() -> None:
        async with database.write() as tx:
            await change(tx, 1)
            await tx.append_event("test.cancelled", payload={})

    doomed = asyncio.create_task(write())
    for _ in range(steps):
        await asyncio.sleep(0)
    doomed.cancel()
    await asyncio.gather(doomed, return_exceptions=True)
    async with database.write() as tx:
        await tx.append_event("test.after", payload={})
        changed = (await tx.session.get_one(FeedRow, 1)).compacted_through == 1
    types = [type_ for _, type_ in await events_in(database)]
    # both or neither, and the next writer went on
    assert types == (["test.cancelled"] if changed else []) + ["test.after"]


async def test_closing_waits_for_who_is_in_the_middle(tmp_path: Path, clock: VirtualClock) -> None:
    database = Database(SqliteEngine(tmp_path / "another.db"), clock)
    await database.open()
    await migrate(database)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with database.write() as tx:
            entered.set()
            await go_on.wait()
            await tx.append_event("test.event", payload={})

    writing = asyncio.create_task(write())
    await entered.wait()
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(writing, closing)
    # the last connection to close leaves no log behind
    assert not (tmp_path / "another.db-wal").exists()


async def test_whoever_comes_after_the_end_gets_no_connection(database: Database) -> None:
    """Nobody would close it."""
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await events_in(database)
    with pytest.raises(DatabaseUnavailable):
        async with database.write() as tx:
            await change(tx, 1)
    await database.open()
    assert await events_in(database) == []


async def test_a_reader_that_is_cancelled_leaves_no_lock(database: Database) -> None:
    async with database.write() as tx:
        await tx.append_event("test.event", payload={})
    doomed = asyncio.create_task(events_in(database))

    def cancel_while_it_runs(*context: object) -> None:
        if "FROM events" in str(context[2]):
            doomed.cancel()

    event.listen(
        database._engine.readers.sync_engine, "before_cursor_execute", cancel_while_it_runs
    )
    outcome = await asyncio.gather(doomed, return_exceptions=True)
    # the exception, with all that its frames hold on to, is still there
    assert isinstance(outcome[0], asyncio.CancelledError)
    assert await database.scrub(), "somebody still reads"
