"""PostgreSQL: many writers in several processes, on one database that outlives them all.

Writers run at READ COMMITTED and lock the rows that they decide by (``SELECT … FOR UPDATE`` in the
stores), always the camera or person first; readers see one moment (REPEATABLE READ, read only).

The order of the change feed. A sequence number is taken before its commit, so the later number may
be committed first, and a watcher that asks for ``sequence > last`` would step over the earlier one
for ever. Here every transaction takes an advisory lock just before its numbers and keeps it until
it is committed, so numbers become visible in their order: PostgreSQL releases a transaction's locks
only after the transaction is visible to new snapshots. The lock is the last that a transaction
takes (events are written at its end), so it is held for an insert and a commit, and no deadlock
goes through it. The other sound way, to read only below ``pg_snapshot_xmin``, needs no lock, but
there any transaction that idles, in whatever database of the server, stops all watchers, and the
order of events is no longer the order of one number that enrolments and resume tokens can name.

NOTIFY, in the same statement as the lock, only wakes the watchers of other processes; what they
then read is the table.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final

import asyncpg
from sqlalchemy import URL, Table, make_url, text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from control_plane.engines import partitions
from control_plane.engines.checkout import watch_connections
from control_plane.engines.copying import copy_rows
from control_plane.engines.port import (
    DatabaseBusy,
    DatabaseUnavailable,
    Hint,
    Partition,
    PartitionMissing,
)
from service_runtime.clock import Clock
from service_runtime.errors import InvalidArgument, ServiceError
from service_runtime.secret import Secret
from service_runtime.structured_logging import get_logger

_WRITERS: Final = 8
_READERS: Final = 8
_CONNECT_S: Final = 10.0
_POOL_WAIT_S: Final = 10.0
_HOLD_WAIT_MS: Final = 2000
_LISTEN_AGAIN_S: Final = 1.0
_LISTEN_CHECK_S: Final = 15.0
_CHANNEL: Final = "dfip_events"
# advisory locks are numbers of the whole database; the first of two is ours
_LOCKS: Final = 0x64666970
_FEED_LOCK: Final = 1
_MIGRATION_LOCK: Final = 2
_PARTITIONS_LOCK: Final = 3
_SERVER_SETTINGS: Final = {
    "application_name": "dfip-control-plane",
    "jit": "off",  # compiling costs more than these short statements
    "timezone": "UTC",
    "statement_timeout": "30000",
    "lock_timeout": "10000",
    # a process that stands still must not hold everybody's place in the feed
    "idle_in_transaction_session_timeout": "30000",
}

_AWAY: Final = frozenset({"57P01", "57P02", "57P03", "53300"})
_IN_THE_WAY: Final = frozenset({"40001", "40P01", "55P03"})
_TIMED_OUT: Final = "57014"
_ALREADY_THERE: Final = "23505"
_NO_PARTITION: Final = "no partition of relation"
_NO_TEXT: Final = frozenset({"22021", "22P05"})

# rows of people, and events that told of them, go from these tables
_SCRUBBED: Final = (
    "persons", "faces", "embeddings", "sightings", "sighting_candidates", "events",
    "alerts", "alert_rules", "alert_standings", "watch_list_members",
)  # fmt: skip

_log = get_logger(__name__)


class PostgresUrlError(Exception):
    """The address of the database is none; the sentence repeats nothing of it."""


class PostgresEngine:
    """The engine of a PostgreSQL database.

    Args:
        url: ``postgresql+asyncpg://user:password@host/database``; a socket's folder goes into
            ``?host=/run/postgresql``.
        clock: Paces attempts to listen again.

    Raises:
        PostgresUrlError: The address is malformed.
    """

    def __init__(self, url: Secret, clock: Clock) -> None:
        self._url = _parse(url)
        self._clock = clock
        self._sender = uuid.uuid4().hex
        self._writers: AsyncEngine | None = None
        self._readers: AsyncEngine | None = None

    @property
    def writers(self) -> AsyncEngine:
        """Connections that may write."""
        assert self._writers is not None, "the database is not open"  # noqa: S101 - a defect
        return self._writers

    @property
    def readers(self) -> AsyncEngine:
        """Connections that may only read."""
        assert self._readers is not None, "the database is not open"  # noqa: S101 - a defect
        return self._readers

    def open(self) -> None:
        """Make the engines; connections are made when they are needed."""
        self._writers = self._engine(
            pool_size=_WRITERS, settings={}, isolation_level="READ COMMITTED"
        )
        self._readers = self._engine(
            pool_size=_READERS,
            settings={"default_transaction_read_only": "on"},
            isolation_level="REPEATABLE READ",
        )

    async def close(self) -> None:
        """Close every connection."""
        for engine in (self._readers, self._writers):
            if engine is not None:
                await engine.dispose()

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Let writers run side by side."""
        return nullcontext()

    async def begin(self, session: AsyncSession) -> None:
        """Make the session's connection.

        Raises:
            DatabaseUnavailable: The server is not there, or does not let us in.
            DatabaseBusy: All connections were in use for too long.
        """
        try:
            await session.connection()
        except PoolTimeout:
            raise DatabaseBusy from None
        except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("database.unreachable", error=type(error).__name__)
            raise DatabaseUnavailable from error

    async def line_up(self, session: AsyncSession) -> None:
        """Take the feed's lock until the commit, and tell the others once it has happened."""
        await session.execute(
            text("SELECT pg_advisory_xact_lock(:locks, :lock), pg_notify(:channel, :sender)"),
            {
                "locks": _LOCKS,
                "lock": _FEED_LOCK,
                "channel": _CHANNEL,
                "sender": self._sender,
            },
        )

    async def alone(self, session: AsyncSession, name: str) -> None:
        """Hold the name until the transaction ends."""
        await session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, :locks))"),
            {"name": name, "locks": _LOCKS},
        )

    async def insert_rows(
        self, session: AsyncSession, table: Table, columns: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Write the rows with COPY, in the session's transaction."""
        await copy_rows(session, table, columns, rows)

    @property
    def has_partitions(self) -> bool:
        """Large tables lie in partitions."""
        return True

    async def add_partitions(
        self, session: AsyncSession, table: Table, wanted: Sequence[Partition]
    ) -> None:
        """Make the partitions that are not there yet; one process at a time looks."""
        await session.execute(
            text("SELECT pg_advisory_xact_lock(:locks, :lock)"),
            {"locks": _LOCKS, "lock": _PARTITIONS_LOCK},
        )
        await partitions.add(session, table, wanted)

    async def partition_names(self, session: AsyncSession, table: Table) -> list[str]:
        """Return the names of a table's partitions, also of those that are being dropped."""
        return sorted(await partitions.states(await session.connection(), table))

    async def drop_partitions(self, table: Table, names: Sequence[str]) -> int:
        """Drop partitions while others read and write the rest; return how many went."""
        try:
            async with self._outside() as connection:
                return await partitions.drop(connection, table, names, lock=_LOCKS)
        except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # the next round goes on where this one ended
            _log.warning("database.partitions_not_dropped", error=type(error).__name__)
            return 0

    async def hold_table(self, session: AsyncSession, table: Table) -> None:
        """Keep everybody else out of a table; give up soon where a reader takes long."""
        await session.execute(text(f"SET LOCAL lock_timeout = {_HOLD_WAIT_MS}"))
        await session.execute(text(f"LOCK TABLE ONLY {table.name} IN ACCESS EXCLUSIVE MODE"))

    async def drop_partition(self, session: AsyncSession, table: Table, name: str) -> None:
        """Drop a partition of a table that the transaction holds."""
        await session.execute(text(f"ALTER TABLE {table.name} DETACH PARTITION {name}"))
        await session.execute(text(f"DROP TABLE {name}"))

    async def prepare_migration(self, session: AsyncSession) -> None:
        """Let one process at a time migrate, for as long as it takes."""
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        await session.execute(text("SET LOCAL lock_timeout = 0"))
        await session.execute(
            text("SELECT pg_advisory_xact_lock(:locks, :lock)"),
            {"locks": _LOCKS, "lock": _MIGRATION_LOCK},
        )

    async def history(self, session: AsyncSession) -> str | None:
        """Return which server, timeline, database and table the events stand in.

        A dump that is restored makes new tables, recovery to a point in time and a failover begin
        a new timeline: numbers after it may tell of other events than those that watchers saw. A
        disk that is put back as it was yesterday shows nothing of it.
        """
        found = await session.scalar(
            text(
                "SELECT concat_ws('.',"
                " (SELECT system_identifier FROM pg_control_system()),"
                " (SELECT timeline_id FROM pg_control_checkpoint()),"
                " (SELECT oid FROM pg_database WHERE datname = current_database()),"
                " 'events'::regclass::oid)"
            )
        )
        return str(found)

    async def scrub(self) -> bool:
        """Vacuum the tables that people's rows went from; False where that has to wait.

        The rows are out of reach with the commit already. Vacuuming takes them out of the indexes
        and gives their place to others. It does not overwrite: until the place is used again, the
        bytes may stay in the files, as they may in the write-ahead log, standbys and backups.
        """
        try:
            async with self._outside() as connection:
                await connection.execute(text(f"VACUUM (SKIP_LOCKED) {', '.join(_SCRUBBED)}"))
        except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("database.vacuum_failed", error=type(error).__name__)
            return False
        return True

    async def follow(self, hint: Hint) -> None:
        """Listen for commits of other processes, and come back whenever the connection is lost.

        Each time that it listens anew it gives a hint, for what it did not hear meanwhile.
        """
        while True:
            try:
                await self._listen(hint)
            except (
                OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError,
            ) as error:  # fmt: skip
                _log.warning("database.not_listening", error=type(error).__name__)
            await self._clock.sleep(_LISTEN_AGAIN_S)

    def failure(self, error: DBAPIError) -> ServiceError | None:
        """Return what the caller is told of an error of the driver; None where it is a defect."""
        state = _sqlstate(error)
        gone = error.connection_invalidated or isinstance(error, InterfaceError)
        if gone or state in _AWAY or state.startswith("08"):
            return DatabaseUnavailable()
        if state in _IN_THE_WAY or state == _TIMED_OUT:
            return DatabaseBusy()
        if state == asyncpg.CheckViolationError.sqlstate and _NO_PARTITION in str(error.orig):
            return PartitionMissing()
        if state in _NO_TEXT:
            return InvalidArgument(
                "TEXT_INVALID", "A text of the request holds a NUL character; leave it out."
            )
        return None

    def is_repeatable(self, error: DBAPIError) -> bool:
        """Tell whether others were in the way of a transaction that is now rolled back.

        A row that another transaction put there first counts: done again, it is found.
        """
        return _sqlstate(error) in _IN_THE_WAY | {_ALREADY_THERE}

    async def _listen(self, hint: Hint) -> None:
        async with self._outside() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection

            def heard(_connection: object, _pid: int, _channel: str, sender: str) -> None:
                if sender != self._sender:
                    hint()

            await driver.add_listener(_CHANNEL, heard)
            hint()
            while True:
                await self._clock.sleep(_LISTEN_CHECK_S)
                # a connection that broke silently says so now
                await driver.fetchval("SELECT 1", timeout=_CONNECT_S)

    @asynccontextmanager
    async def _outside(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection apart from the pools, with no transaction around its statements."""
        engine = create_async_engine(
            self._url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            connect_args={
                "server_settings": _SERVER_SETTINGS | {"statement_timeout": "60000"},
                "timeout": _CONNECT_S,
            },
        )
        async with engine.connect() as connection:
            yield connection

    def _engine(
        self, *, pool_size: int, settings: Mapping[str, str], isolation_level: IsolationLevel
    ) -> AsyncEngine:
        engine = create_async_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_POOL_WAIT_S,
            isolation_level=isolation_level,
            # an error must not repeat what people entered
            hide_parameters=True,
            connect_args={
                "server_settings": _SERVER_SETTINGS | dict(settings),
                "timeout": _CONNECT_S,
            },
        )
        watch_connections(engine, self._clock)
        return engine


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _parse(url: Secret) -> URL:
    try:
        parsed = make_url(url.reveal())
    except (ArgumentError, ValueError):
        raise PostgresUrlError(_BAD_URL) from None
    if parsed.drivername not in {"postgresql+asyncpg", "postgresql", "postgres"}:
        raise PostgresUrlError(_BAD_URL)
    return parsed.set(drivername="postgresql+asyncpg")


_BAD_URL: Final = (
    "DFIP_DATABASE_URL is no address of a PostgreSQL database; write it as"
    " postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE, or leave it out for SQLite"
)
