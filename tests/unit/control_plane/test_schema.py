"""The migrations make exactly the tables that the code describes, on both engines, on data."""

import re
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select, text

from control_plane.database import Database
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from control_plane.events.tables import EventRow, FeedRow
from control_plane.schema import configuration, metadata, migrate
from service_runtime.clock import SystemClock
from tests.support.postgres import PostgresSite
from tests.support.virtual_clock import VirtualClock


def differences(connection: Connection) -> list[object]:
    def is_whole(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or not re.search(r"_\d{8}$", str(name))  # not a partition

    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_name": is_whole}
    )
    return list(compare_metadata(context, metadata))


def downgrade(connection: Connection, revision: str) -> None:
    command.downgrade(configuration(connection), revision)


async def test_migration_and_tables_agree(empty: Database) -> None:
    await migrate(empty)
    async with empty.read() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(empty: Database) -> None:
    await migrate(empty)
    async with empty.read() as session:
        feed_id = await session.scalar(select(FeedRow.feed_id))
    await migrate(empty)
    async with empty.read() as session:
        assert (await session.scalars(select(FeedRow.feed_id))).all() == [feed_id]


@pytest.mark.parametrize("down", ["0001", "0002", "0003", "0004", "0005", "0009", "0010", "0012"])
async def test_down_and_up_again_keeps_what_both_revisions_hold(empty: Database, down: str) -> None:
    await migrate(empty)
    async with empty.write() as tx:
        await tx.append_event("test.event", payload={"kept": True})
    async with empty.read() as session:
        feed_id = await session.scalar(select(FeedRow.feed_id))
    async with empty.write() as tx:
        await (await tx.session.connection()).run_sync(downgrade, down)
    await migrate(empty)
    async with empty.read() as session:
        assert (await session.scalars(select(EventRow.payload))).all() == [{"kept": True}]
        assert await session.scalar(select(FeedRow.feed_id)) == feed_id


async def test_all_the_way_down_leaves_no_table(empty: Database) -> None:
    await migrate(empty)
    async with empty.write() as tx:
        await tx.append_event("test.event", payload={})
    async with empty.write() as tx:
        connection = await tx.session.connection()
        await connection.run_sync(downgrade, "base")
        left = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
    assert left - {"sqlite_sequence"} == {"alembic_version"}


async def test_a_copy_of_a_database_has_a_feed_of_its_own(postgres: PostgresSite) -> None:
    feeds = set()
    for _ in range(2):
        name = await postgres.fresh()  # copied from one template
        database = Database(PostgresEngine(postgres.url(name), SystemClock()), SystemClock())
        await database.open()
        await migrate(database)
        async with database.read() as session:
            feeds.add(await session.scalar(select(FeedRow.feed_id)))
        await database.close()
        await postgres.drop(name)
    assert len(feeds) == 2


async def test_the_file_is_safe_against_a_power_cut(tmp_path: Path) -> None:
    database = Database(SqliteEngine(tmp_path / "dfip.db"), VirtualClock())
    await database.open()
    try:
        async with database.write() as tx:
            found = {
                name: await tx.session.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    finally:
        await database.close()
