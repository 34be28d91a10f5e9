"""A database as the control plane has it, on a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.database import Database
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from service_runtime.clock import SystemClock
from tests.support.engines import POSTGRES, engine_of
from tests.support.postgres import PostgresSite
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def database(
    tmp_path: Path, clock: VirtualClock, database_engine: str
) -> AsyncIterator[Database]:
    del database_engine  # chosen, for ``engine_of``
    made = Database(await engine_of(tmp_path, clock), clock)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def empty(
    request: pytest.FixtureRequest, tmp_path: Path, database_engine: str
) -> AsyncIterator[Database]:
    """A database without tables."""
    if database_engine == POSTGRES:
        site: PostgresSite = request.getfixturevalue("postgres")
        name = await site.fresh(migrated=False)
        made = Database(PostgresEngine(site.url(name), SystemClock()), SystemClock())
        await made.open()
        yield made
        await made.close()
        await site.drop(name)
        return
    made = Database(SqliteEngine(tmp_path / "dfip.db"), VirtualClock())
    await made.open()
    yield made
    await made.close()
