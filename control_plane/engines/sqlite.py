"""SQLite in a file: one writer at a time, many readers, nothing to install.

It needs three things to be safe here: WAL, so that readers do not block the writer;
``synchronous=FULL``, so that an acknowledged commit survives a power cut; and BEGIN IMMEDIATE, so
that a write transaction never finds out half-way that another one was first. One process has the
file (``data_dir.py``), so the writers queue up inside it, and numbers are taken in that order.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, event, insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from control_plane.engines.port import Hint, Partition
from control_plane.engines.sessions import to_its_end
from service_runtime.errors import ServiceError

_READERS: Final = 8
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
    "PRAGMA secure_delete=ON",  # what was erased is overwritten, not only unlinked
)


class SqliteEngine:
    """The engine of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()
        self._writers: AsyncEngine | None = None
        self._readers: AsyncEngine | None = None

    @property
    def writers(self) -> AsyncEngine:
        """The one connection that writes."""
        assert self._writers is not None, "the database is not open"  # noqa: S101 - a defect
        return self._writers

    @property
    def readers(self) -> AsyncEngine:
        """Connections that may only read."""
        assert self._readers is not None, "the database is not open"  # noqa: S101 - a defect
        return self._readers

    def open(self) -> None:
        """Make the file and the engines.

        Raises:
            OSError: The file cannot be made.
        """
        # SQLite gives its log the same rights; it would make both readable by everybody
        self._path.touch(mode=0o600)
        url = f"sqlite+aiosqlite:///{self._path}"
        self._writers = create_async_engine(url, pool_size=1, max_overflow=0)
        self._readers = create_async_engine(url, pool_size=_READERS, max_overflow=0)
        _prepare(self._writers, begin="BEGIN IMMEDIATE")
        _prepare(self._readers, begin="BEGIN", query_only=True)

    async def close(self) -> None:
        """Close every connection."""
        for engine in (self._readers, self._writers):
            if engine is not None:
                await engine.dispose()

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Queue up for the one connection that writes."""
        return self._writing

    async def begin(self, session: AsyncSession) -> None:
        """Leave the connection to the first statement: a file is always there."""

    async def line_up(self, session: AsyncSession) -> None:
        """Nothing to do: there is one writer at a time."""

    async def alone(self, session: AsyncSession, name: str) -> None:
        """Nothing to do: there is one process."""

    async def insert_rows(
        self, session: AsyncSession, table: Table, columns: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Hand the rows to the driver as they are, without SQLAlchemy's conversions."""

        def execute_many(session: Session) -> None:
            connection = session.connection()
            statement = insert(table).compile(dialect=connection.dialect, column_keys=columns)
            connection.exec_driver_sql(str(statement), list(rows))

        # to its end even when cancelled, as the session does with every step
        await session.run_sync(execute_many)

    @property
    def has_partitions(self) -> bool:
        """Tables are whole."""
        return False

    async def add_partitions(
        self, session: AsyncSession, table: Table, partitions: Sequence[Partition]
    ) -> None:
        """Nothing to do: tables are whole."""

    async def partition_names(self, session: AsyncSession, table: Table) -> list[str]:
        """Return nothing: tables are whole."""
        del session, table
        return []

    async def drop_partitions(self, table: Table, names: Sequence[str]) -> int:
        """Return 0: tables are whole."""
        del table, names
        return 0

    async def hold_table(self, session: AsyncSession, table: Table) -> None:
        """Nothing to do: who writes is alone."""

    async def drop_partition(self, session: AsyncSession, table: Table, name: str) -> None:
        """Nothing to do: tables are whole."""

    async def prepare_migration(self, session: AsyncSession) -> None:
        """Nothing to do: there is one process."""

    async def history(self, session: AsyncSession) -> str | None:
        """Return None: a copy of a file is that file."""
        del session
        return None

    async def scrub(self) -> bool:
        """Copy the write-ahead log into the file and empty it; False where a reader held it.

        Removed rows leave copies in the log; after an erasure none may stay. In the file itself
        they are overwritten (``secure_delete``).
        """
        async with self._writing:
            return await to_its_end(_truncate_log(self.writers))

    async def follow(self, hint: Hint) -> None:
        """Wait for ever: nobody else has the file."""
        del hint
        await asyncio.Event().wait()

    def failure(self, error: DBAPIError) -> ServiceError | None:
        """Return None: a file that fails is a defect of the machine."""
        del error
        return None

    def is_repeatable(self, error: DBAPIError) -> bool:
        """Return False: nobody was in the way."""
        del error
        return False


async def _truncate_log(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
            busy, _, _ = await cursor.fetchone()
        return not busy


def _prepare(engine: AsyncEngine, *, begin: str, query_only: bool = False) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # the driver must not open transactions by itself: ``begin`` below does
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        if query_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
