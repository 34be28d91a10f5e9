"""A connection that is gone is replaced before it is used; only one that lay idle is asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection

from control_plane.engines.checkout import ASK_AFTER_S
from control_plane.engines.postgres import PostgresEngine
from tests.support.postgres import PostgresSite
from tests.support.virtual_clock import VirtualClock


class Pool:
    """The writers of an engine, and how often the server was asked."""

    def __init__(self, engine: PostgresEngine, clock: VirtualClock) -> None:
        self._engine = engine
        self.clock = clock
        self.pings = 0
        self.opened = 0
        event.listen(engine.writers.sync_engine, "connect", self._count)

    def _count(self, connection: Any, _record: object) -> None:
        self.opened += 1
        self.driver = connection.driver_connection

    async def pid(self) -> int:
        async with self._engine.writers.connect() as connection:
            return int(await connection.scalar(text("SELECT pg_backend_pid()")))

    async def end(self, pid: int) -> None:
        async with self._engine.readers.connect() as connection:
            await connection.execute(text(f"SELECT pg_terminate_backend({pid}, 5000)"))


@pytest.fixture
async def pool(postgres: PostgresSite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    clock = VirtualClock()
    engine = PostgresEngine(postgres.url(await postgres.fresh()), clock)
    engine.open()
    made = Pool(engine, clock)
    ping = AsyncAdapt_asyncpg_connection.ping

    def counted(connection: AsyncAdapt_asyncpg_connection) -> None:
        made.pings += 1
        ping(connection)  # type: ignore[no-untyped-call]  # SQLAlchemy's own

    monkeypatch.setattr(AsyncAdapt_asyncpg_connection, "ping", counted)
    yield made
    await engine.close()


async def test_a_connection_in_use_is_not_asked(pool: Pool) -> None:
    first = await pool.pid()
    for _ in range(5):
        assert await pool.pid() == first
    assert pool.pings == 0


async def test_a_connection_that_lay_idle_is_asked_once(pool: Pool) -> None:
    first = await pool.pid()
    await pool.clock.advance(ASK_AFTER_S)
    assert [await pool.pid(), await pool.pid()] == [first, first]
    assert (pool.pings, pool.opened) == (1, 1)


async def test_one_that_the_server_has_closed_is_replaced_without_a_word(pool: Pool) -> None:
    first = await pool.pid()
    closed = asyncio.Event()
    pool.driver.add_termination_listener(lambda _: closed.set())
    await pool.end(first)
    async with asyncio.timeout(10):
        await closed.wait()
    assert await pool.pid() != first
    assert (pool.pings, pool.opened) == (0, 2)


async def test_one_that_lay_idle_and_does_not_answer_is_replaced(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await pool.pid()
    await pool.clock.advance(ASK_AFTER_S)
    await pool.end(first)
    # as if the network were cut: nobody has told us
    is_closed, told = type(pool.driver).is_closed, iter([False])
    monkeypatch.setattr(
        type(pool.driver), "is_closed", lambda driver: next(told, True) and is_closed(driver)
    )
    assert await pool.pid() != first
    assert (pool.pings, pool.opened) == (1, 2)
