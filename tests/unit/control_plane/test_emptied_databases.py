"""What tests share: an emptied database is like a fresh one, or it is not used again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from control_plane.database import Database
from control_plane.engines.postgres import PostgresEngine
from control_plane.schema import metadata, migrate
from service_runtime.secret import Secret
from tests.support.postgres import PostgresSite
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
async def site(postgres: PostgresSite) -> AsyncIterator[PostgresSite]:
    """Databases of this test alone, on the server of all."""
    own = postgres.beside()
    yield own
    await own.drop_all()


async def contents(url: Secret) -> dict[str, Any]:
    """Return all rows and numbers; the feed's id differs by database."""
    address = url.reveal().replace("+asyncpg", "")
    connection: Any = await asyncpg.connect(address)
    try:
        tables = [*(table.name for table in metadata.sorted_tables), "alembic_version"]
        found = {
            table: await connection.fetchval(f"SELECT json_agg(t)::text FROM {table} t")
            for table in tables
        }
        relations = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        found["relations"] = sorted(row[0] for row in await connection.fetch(relations))
        numbers = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
        found["numbers"] = [tuple(row) for row in await connection.fetch(numbers)]
        return found
    finally:
        await connection.close()


async def use(url: Secret, statement: str | None = None) -> None:
    clock = VirtualClock()
    database = Database(PostgresEngine(url, clock), clock)
    await database.open()
    await migrate(database)
    async with database.write() as tx:
        await tx.append_event("test.event", payload={})
        if statement is not None:
            await tx.session.execute(text(statement))
    await database.close()


async def test_an_emptied_database_is_like_a_fresh_one(site: PostgresSite, tmp_path: Path) -> None:
    url = await site.of_folder(tmp_path / "first")
    fresh = await contents(url)
    await use(url, "CREATE TABLE added PARTITION OF telemetry_samples DEFAULT")
    assert await contents(url) != fresh
    await site.take_back()
    again = await site.of_folder(tmp_path / "second")
    assert again.reveal() == url.reveal()
    assert await contents(again) == fresh


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE cameras ADD COLUMN colour TEXT",
        "ALTER TABLE cameras DROP CONSTRAINT pk_cameras CASCADE",
        "DROP INDEX ix_events_created_at",
        "DROP TABLE leases",
        "GRANT SELECT ON events TO PUBLIC",
    ],
)
async def test_a_database_that_was_changed_is_not_used_again(
    site: PostgresSite, tmp_path: Path, statement: str
) -> None:
    url = await site.of_folder(tmp_path / "first")
    await use(url, statement)
    await site.take_back()
    again = await site.of_folder(tmp_path / "second")
    assert again.reveal() != url.reveal()
