"""The migration makes exactly the tables that the code describes."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, text

from control_plane.database import Database
from control_plane.engines.sqlite import SqliteEngine
from control_plane.events.tables import FeedRow
from control_plane.schema import metadata, migrate
from tests.support.virtual_clock import VirtualClock


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_migration_and_tables_agree(tmp_path: Path) -> None:
    database = Database(SqliteEngine(tmp_path / "dfip.db"), VirtualClock())
    await database.open()
    try:
        await migrate(database)
        async with database.read() as session:
            connection = await session.connection()
            assert await connection.run_sync(differences) == []
    finally:
        await database.close()


async def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    database = Database(SqliteEngine(tmp_path / "dfip.db"), VirtualClock())
    await database.open()
    try:
        await migrate(database)
        async with database.read() as session:
            feed_id = await session.scalar(select(FeedRow.feed_id))
        await migrate(database)
        async with database.read() as session:
            assert (await session.scalars(select(FeedRow.feed_id))).all() == [feed_id]
    finally:
        await database.close()


async def test_the_database_is_safe_against_a_power_cut(tmp_path: Path) -> None:
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
