"""On which engines tests run: whatever asks for ``database_engine`` runs on both.

    pytestmark = pytest.mark.usefixtures("database_engine")

While a test runs on PostgreSQL, a control plane that is started on a folder gets the database that
belongs to the folder, so that starting it again there is a restart.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from control_plane.engines.port import Engine
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from service_runtime.clock import Clock
from service_runtime.secret import Secret
from tests.support.database import place_database
from tests.support.postgres import PostgresSite, apart, postgres_site

SQLITE, POSTGRES = "sqlite", "postgres"
_chosen: list[PostgresSite] = []


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresSite]:
    """A PostgreSQL server."""
    with postgres_site() as site:
        yield site


@pytest.fixture(params=[SQLITE, POSTGRES])
def database_engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which engine this test runs on."""
    if request.param == SQLITE:
        yield SQLITE
        return
    yield from _on_postgres(request.getfixturevalue("postgres"))


@contextmanager
def engine_for_all(name: str) -> Iterator[None]:
    """Choose the engine outside of tests."""
    if name == SQLITE:
        yield
        return
    with postgres_site() as site:
        for _ in _on_postgres(site):
            yield


@asynccontextmanager
async def on_server(server: Any) -> AsyncIterator[None]:
    """Have PostgreSQL, on a server of the wheel that runs."""
    site = PostgresSite(server.get_uri())
    await site.prepare()
    _chosen.append(site)
    try:
        yield
    finally:
        _chosen.remove(site)
        await site.close()


@pytest.fixture
def on_postgres(postgres: PostgresSite) -> Iterator[str]:
    """For what SQLite does not have."""
    yield from _on_postgres(postgres)


def _on_postgres(site: PostgresSite) -> Iterator[str]:
    _chosen.append(site)
    yield POSTGRES
    _chosen.remove(site)
    apart(site.take_back())


async def database_url(folder: Path) -> Secret | None:
    """Return the address of a folder's database; None on SQLite."""
    return await _chosen[-1].of_folder(folder) if _chosen else None


async def engine_of(folder: Path, clock: Clock) -> Engine:
    """Return an engine with a migrated database, which belongs to the folder."""
    url = await database_url(folder)
    if url is not None:
        return PostgresEngine(url, clock)
    place_database(folder / "dfip.db")
    return SqliteEngine(folder / "dfip.db")
