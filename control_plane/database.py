"""The database: a change and its event in one transaction, on SQLite or PostgreSQL.

``Database.write`` (or ``transact``, which repeats what others were in the way of) is the only way
to change anything. It hands out a ``Transaction``, whose ``append_event`` puts a row into the
change feed, so that a change and its event are there together or not at all. Events are written at
the end of their transaction, in the order in which transactions commit (``engines/postgres.py``
says how). In the same way the audit row of the call that changes something
(``service_runtime.audit``) is written by its first transaction, whatever the call does. After each
commit ``Database.committed`` wakes whoever follows the feed
(``control_plane.events.feed``), and ``Database.removals`` whoever removes pictures
(``control_plane.blobs.removal``).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Table, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from control_plane.audit.tables import audit_row
from control_plane.engines.port import (
    CommitUnknown,
    DatabaseBusy,
    DatabaseUnavailable,
    Engine,
    KeyRingStale,
    Partition,
)
from control_plane.engines.sessions import FinishingSession
from control_plane.events.tables import EventRow
from service_runtime.audit import AuditedCall, AuditObject, current_change
from service_runtime.clock import Clock

T = TypeVar("T")

_FINISH_S: Final = 5.0
_TRIES: Final = 5


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

    def __init__(self, session: AsyncSession, engine: Engine, now: datetime) -> None:
        self.session = session
        self.now = now
        self.has_events = False
        self.has_removals = False
        self._engine = engine
        self._pending: list[EventRow] = []
        self._audit_object: AuditObject | None = None

    def audit_object(self, kind: str, id_: str) -> None:
        """Say what the change is about, where the request cannot: what it made, for instance.

        Only in the first transaction of a call, which writes its audit row.
        """
        self._audit_object = AuditObject(kind=kind, id=id_)

    def add_audit_row(self, call: AuditedCall) -> None:
        """Have the row of a call written with this transaction."""
        self.session.add(audit_row(call, at=self.now, made=self._audit_object))

    async def append_event(
        self,
        type: str,  # noqa: A002 - the event's own word for it
        *,
        camera_id: str | None = None,
        person_id: str | None = None,
        face_id: str | None = None,
        sighting_id: str | None = None,
        payload: dict[str, Any],
    ) -> None:
        """Have an event written at the end of the transaction.

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
        self.has_events = True
        self._pending.append(
            EventRow(
                type=type,
                camera_id=camera_id,
                person_id=person_id,
                face_id=face_id,
                sighting_id=sighting_id,
                payload=payload,
                created_at=self.now,
            )
        )
        # what fails, fails here, where the caller knows what it did
        await self.session.flush()

    async def insert_rows(
        self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Write many rows, tuples in the order of ``columns``, as fast as the engine can.

        Values go to the driver as they are. Do something else in the transaction before.
        """
        await self._engine.insert_rows(self.session, table, columns, rows)

    async def hold_table(self, table: Table) -> None:
        """Keep everybody else out of a table until the end of the transaction, readers too."""
        await self._engine.hold_table(self.session, table)

    async def partition_names(self, table: Table) -> list[str]:
        """Return the names of a table's partitions."""
        return await self._engine.partition_names(self.session, table)

    async def drop_partition(self, table: Table, name: str) -> None:
        """Drop a partition of a table that this transaction holds."""
        await self._engine.drop_partition(self.session, table, name)

    async def number_events(self) -> int:
        """Write the events so far, and return the sequence number of the last.

        Others who write events wait from here to the commit: lock every row before.
        """
        await self.session.flush()
        await self._engine.line_up(self.session)
        rows, self._pending = self._pending, []
        self.session.add_all(rows)
        await self.session.flush()
        return rows[-1].sequence

    async def finish(self) -> None:
        """Write the events that have no number yet; the commit comes right after."""
        if self._pending:
            await self.number_events()

    async def forget_person(self, person_id: str) -> None:
        """Empty the payloads of a person's events: erasure leaves the fact and no name."""
        for row in self._pending:
            if row.person_id == person_id:
                row.payload = {}
        await self.session.execute(
            update(EventRow).where(EventRow.person_id == person_id).values(payload={})
        )


async def _nothing_to_check(_: Transaction) -> None:
    """Let every transaction commit."""


async def _nothing_to_read() -> None:
    """Know everything already."""


class Database:
    """The store of the control plane. ``open`` it before use and ``close`` it after."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._names: dict[str, asyncio.Lock] = {}
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._closed = False
        self._check_keys: Callable[[Transaction], Awaitable[None]] = _nothing_to_check
        self._read_keys: Callable[[], Awaitable[None]] = _nothing_to_read
        self.committed = Broadcast()
        self.removals = Broadcast()

    def guard_keys(
        self,
        check: Callable[[Transaction], Awaitable[None]],
        read_again: Callable[[], Awaitable[None]],
    ) -> None:
        """Have the keys checked that a transaction sealed with, just before it commits.

        Args:
            check: Holds the keys until the commit; raises ``KeyRingStale`` where one is gone.
            read_again: What ``transact`` does about that before it repeats the step.
        """
        self._check_keys, self._read_keys = check, read_again

    async def open(self) -> None:
        """Make what is needed; connections are made when they are used.

        Raises:
            OSError: The file cannot be made.
        """
        self._engine.open()
        self._closed = False

    async def close(self) -> None:
        """Let whoever is in the middle of something finish, then close every connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self._unused.wait()
        # whoever came later would have connections made that nobody closes
        self._closed = True
        await self._engine.close()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """Open a write transaction.

        Writers may run side by side (PostgreSQL): lock the rows that a decision rests on with
        ``with_for_update``, cameras and people before what is theirs.

        Raises:
            DatabaseUnavailable: The database server is away.
            DatabaseBusy: Others were in the way for too long; see ``transact``.
            CommitUnknown: The connection broke during the commit.
        """
        async with self._engine.turn(), self._session(self._engine.writers) as session:
            tx = Transaction(session, self._engine, self._clock.now())
            try:
                yield tx
                await self._check_keys(tx)
                call = current_change()
                if call is not None:
                    tx.add_audit_row(call)
                await tx.finish()
                await self._commit(session)
                if call is not None:
                    call.written = True
            finally:
                # also when cancelled: the commit may have happened, and a hint costs nothing
                if tx.has_events:
                    self.committed.notify()
                if tx.has_removals:
                    self.removals.notify()

    async def transact(self, step: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do a step in a write transaction, once more where others were in its way.

        The step may run several times, so it must do nothing that a rollback does not undo.
        """
        tries = 0
        while True:
            tries += 1
            try:
                async with self.write() as tx:
                    return await step(tx)
            except KeyRingStale:
                if tries == _TRIES:
                    raise
                await self._read_keys()
            except (DatabaseBusy, IntegrityError) as error:
                cause = error if isinstance(error, DBAPIError) else error.__cause__
                repeatable = isinstance(cause, DBAPIError) and self._engine.is_repeatable(cause)
                if tries == _TRIES or not repeatable:
                    raise

    def now(self) -> datetime:
        """Return the moment that a transaction would have now."""
        return self._clock.now()

    @property
    def has_partitions(self) -> bool:
        """Whether large tables lie in partitions."""
        return self._engine.has_partitions

    async def add_partitions(self, table: Table, partitions: Sequence[Partition]) -> None:
        """Make the partitions that are not there yet; nothing where tables are whole."""
        if self._engine.has_partitions and partitions:
            async with self.write() as tx:
                await self._engine.add_partitions(tx.session, table, partitions)

    async def partition_names(self, table: Table) -> list[str]:
        """Return the names of a table's partitions, also of those that are being dropped."""
        async with self.read() as session:
            return await self._engine.partition_names(session, table)

    async def drop_partitions(self, table: Table, names: Sequence[str]) -> int:
        """Drop partitions while others read and write the rest; return how many went now."""
        return await self._engine.drop_partitions(table, names) if names else 0

    async def prepare_migration(self, tx: Transaction) -> None:
        """Let one process at a time migrate, for as long as it takes."""
        await self._engine.prepare_migration(tx.session)

    async def history(self, session: AsyncSession) -> str | None:
        """Return what a restore or a failover changes; None where that cannot be told."""
        return await self._engine.history(session)

    async def follow_others(self) -> None:
        """Wake watchers when another process has committed events; a root task."""
        await self._engine.follow(self.committed.notify)

    async def scrub(self) -> bool:
        """Leave as little of removed rows on the disk as the engine allows; False if put off."""
        return await self._engine.scrub()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Hold a name that one caller at a time can hold, in whatever process."""
        async with self._names.setdefault(name, asyncio.Lock()), self.read() as session:
            await self._engine.alone(session, name)
            yield

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a read transaction, which sees one moment of the database.

        Raises:
            DatabaseUnavailable: The database server is away.
        """
        async with self._session(self._engine.readers) as session:
            yield session

    async def _commit(self, session: AsyncSession) -> None:
        try:
            await session.commit()
        except DBAPIError as error:
            if isinstance(self._engine.failure(error), DatabaseUnavailable):
                raise CommitUnknown from error
            raise

    async def _end(self, session: AsyncSession) -> None:
        """Roll back what was not committed, and give the connection back."""
        try:
            await session.close()
        except BaseException as error:
            # the connection is gone, and with it what was not committed; it must not stay taken
            await session.invalidate()
            if not isinstance(error, DBAPIError) or self._engine.failure(error) is None:
                raise

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        if self._closed:
            raise DatabaseUnavailable
        self._users += 1
        self._unused.clear()
        session = FinishingSession(engine, expire_on_commit=False)
        try:
            await session.begin()
            await self._engine.begin(session)
            yield session
        except DBAPIError as error:
            failure = self._engine.failure(error)
            if failure is None:
                raise
            raise failure from error
        finally:
            try:
                await self._end(session)
            finally:
                self._users -= 1
                if not self._users:
                    self._unused.set()
