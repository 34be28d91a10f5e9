"""The database: one writer at a time, many readers, and an event in the transaction of its change.

``Database.write`` is the only way to change anything. It hands out a ``Transaction``, whose
``append_event`` puts a row into the change feed, so that a change and its event are there together
or not at all. After each commit ``Database.committed`` wakes whoever follows the feed
(``control_plane.events.feed``).

SQLite needs three things to be safe here: WAL, so that readers do not block the writer;
``synchronous=FULL``, so that an acknowledged commit survives a power cut; and BEGIN IMMEDIATE, so
that a write transaction never finds out half-way that another one was first.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, event, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from control_plane.events.tables import EventRow
from service_runtime.clock import Clock

T = TypeVar("T")

_READERS: Final = 8
_FINISH_S: Final = 5.0
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
    "PRAGMA secure_delete=ON",  # what was erased is overwritten, not only unlinked
)


class Broadcast:
    """Tells any number of waiters that something happened; a hint, never the data."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Wake everybody who waits now."""
        woken, self._next = self._next, asyncio.Event()
        woken.set()

    def next(self) -> asyncio.Event:
        """Return what the next ``notify`` sets. Take it before looking, wait on it after."""
        return self._next


class Transaction:
    """A write transaction. Leaving ``Database.write`` commits it, an exception rolls it back."""

    def __init__(self, session: AsyncSession, now: datetime) -> None:
        self.session = session
        self.now = now
        self.has_events = False

    async def append_event(
        self,
        type: str,  # noqa: A002 - the event's own word for it
        *,
        camera_id: str | None = None,
        person_id: str | None = None,
        face_id: str | None = None,
        sighting_id: str | None = None,
        payload: dict[str, Any],
    ) -> int:
        """Write an event and return its sequence number.

        Args:
            type: Such as ``camera.enabled``.
            camera_id: Camera that it is about.
            person_id: Person that it is about.
            face_id: Face that it is about.
            sighting_id: Sighting that it is about.
            payload: The other fields of ``dfip.control_plane.v1.Event`` as its JSON has them
                (``camera``, ``runtime``, ``error``, ``sighting``, ``person``, ``face``), without
                people's names inside sightings and without connection strings.
        """
        row = EventRow(
            type=type,
            camera_id=camera_id,
            person_id=person_id,
            face_id=face_id,
            sighting_id=sighting_id,
            payload=payload,
            created_at=self.now,
        )
        self.session.add(row)
        self.has_events = True
        await self.session.flush()
        return row.sequence

    async def forget_person(self, person_id: str) -> None:
        """Empty the payloads of a person's events: erasure leaves the fact and no name."""
        await self.session.execute(
            update(EventRow).where(EventRow.person_id == person_id).values(payload={})
        )


class Database:
    """The store of the control plane. ``open`` it before use and ``close`` it after."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._writing = asyncio.Lock()
        self._writer: AsyncEngine | None = None
        self._readers: AsyncEngine | None = None
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self.committed = Broadcast()

    @property
    def url(self) -> str:
        """SQLAlchemy's address of the database."""
        return f"sqlite+aiosqlite:///{self._path}"

    async def open(self) -> None:
        """Make the file and the engines; connections are made when they are needed.

        Raises:
            OSError: The file cannot be made.
        """
        # SQLite gives its log the same rights; it would make both readable by everybody
        self._path.touch(mode=0o600)
        self._writer = create_async_engine(self.url, pool_size=1, max_overflow=0)
        self._readers = create_async_engine(self.url, pool_size=_READERS, max_overflow=0)
        _prepare(self._writer, begin="BEGIN IMMEDIATE")
        _prepare(self._readers, begin="BEGIN", query_only=True)

    async def close(self) -> None:
        """Let whoever is in the middle of something finish, then close every connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self._unused.wait()
        for engine in (self._readers, self._writer):
            if engine is not None:
                await engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """Open a write transaction; the writers of this process queue up for it."""
        assert self._writer is not None, "the database is not open"  # noqa: S101 - a defect
        async with self._writing, self._session(self._writer) as session:
            tx = Transaction(session, self._clock.now())
            try:
                yield tx
                await session.commit()
            finally:
                # also when cancelled: the commit may have happened, and a hint costs nothing
                if tx.has_events:
                    self.committed.notify()

    async def truncate_log(self) -> bool:
        """Copy the write-ahead log into the database and empty it; False where a reader held it.

        Removed rows leave copies in the log; after an erasure none may stay.
        """
        assert self._writer is not None, "the database is not open"  # noqa: S101 - a defect
        async with self._writing:
            return await _to_its_end(_truncate_log(self._writer))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a read transaction, which sees one moment of the database."""
        assert self._readers is not None, "the database is not open"  # noqa: S101 - a defect
        async with self._session(self._readers) as session:
            yield session

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        self._users += 1
        self._unused.clear()
        session = _FinishingSession(engine, expire_on_commit=False)
        try:
            await session.begin()
            yield session
        finally:
            try:
                # rolls back what was not committed
                await session.close()
            finally:
                self._users -= 1
                if not self._users:
                    self._unused.set()


async def _truncate_log(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
            busy, _, _ = await cursor.fetchone()
        return not busy


async def _to_its_end(step: Awaitable[T]) -> T:
    """Let a step finish although the caller was cancelled; the cancellation comes after it.

    Callers leave at any moment. SQLite keeps the locks of a connection that is closed in the middle
    of a statement until the statement is forgotten, and everybody would wait for that.
    """
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told that it was not
        raise cancelled
    return task.result()


class _FinishingSession(AsyncSession):
    """A session whose every step runs to its end."""


def _finishing(step: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    @functools.wraps(step)
    async def finish(*args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - whatever the step takes
        return await _to_its_end(step(*args, **kwargs))

    return finish


for _name in (
    "commit", "close", "connection", "delete", "execute", "flush", "get", "get_one", "merge",
    "refresh", "rollback", "run_sync", "scalar", "scalars",
):  # fmt: skip
    setattr(_FinishingSession, _name, _finishing(getattr(AsyncSession, _name)))


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
