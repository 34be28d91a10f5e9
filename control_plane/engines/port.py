"""What ``control_plane.database`` needs of an engine, and what it says when the engine fails.

``sqlite.py`` and ``postgres.py`` are the two implementations. All that differs between them stands
there; stores, feed and migrations are written once.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service_runtime.errors import ServiceError, Unavailable


class DatabaseUnavailable(Unavailable):
    """The database server cannot be reached now; nothing was written."""

    def __init__(self) -> None:
        super().__init__("DATABASE_UNAVAILABLE", "The database is away for now; try again soon.")


class DatabaseBusy(Unavailable):
    """Others were in the way for too long; nothing was written."""

    def __init__(self) -> None:
        super().__init__("DATABASE_BUSY", "The database is busy; try again soon.")


class KeyRingStale(DatabaseBusy):
    """Another replica changed the keys meanwhile; nothing was written. Read the ring again."""


class PartitionMissing(DatabaseBusy):
    """A table has no partition for a row: make it, and do it again. Nothing was written."""


class CommitUnknown(DatabaseUnavailable):
    """The connection broke during the commit: it is there or it is not, as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The part of a table whose key lies from ``start`` on and before ``end``, both as SQL."""

    name: str
    start: str
    end: str


class Engine(Protocol):
    """A database engine. ``open`` it before use and ``close`` it after."""

    @property
    def writers(self) -> AsyncEngine:
        """Connections that may write."""
        ...

    @property
    def readers(self) -> AsyncEngine:
        """Connections that may only read; a transaction sees one moment."""
        ...

    def open(self) -> None:
        """Make the engines; connections are made when they are needed.

        Raises:
            OSError: A file cannot be made.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Hold the place of a writer for a transaction, where there is only one."""
        ...

    async def begin(self, session: AsyncSession) -> None:
        """Make the session's connection.

        Raises:
            DatabaseUnavailable: There is none to be had.
        """
        ...

    async def line_up(self, session: AsyncSession) -> None:
        """Have this transaction commit before any that lines up for event numbers after it."""
        ...

    async def alone(self, session: AsyncSession, name: str) -> None:
        """Wait until no other transaction of any process holds the name, and hold it."""
        ...

    async def insert_rows(
        self, session: AsyncSession, table: Table, columns: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Write many rows, tuples in the order of ``columns``, as fast as the engine can.

        The values are what the driver takes. The transaction has done something before.
        """
        ...

    @property
    def has_partitions(self) -> bool:
        """Whether large tables lie in partitions; without, those below are never called."""
        ...

    async def add_partitions(
        self, session: AsyncSession, table: Table, partitions: Sequence[Partition]
    ) -> None:
        """Make the partitions that are not there yet."""
        ...

    async def partition_names(self, session: AsyncSession, table: Table) -> list[str]:
        """Return the names of a table's partitions, also of those that are being dropped."""
        ...

    async def drop_partitions(self, table: Table, names: Sequence[str]) -> int:
        """Drop partitions while others read and write the rest; return how many went."""
        ...

    async def hold_table(self, session: AsyncSession, table: Table) -> None:
        """Keep everybody else out of a table until the transaction ends, readers too."""
        ...

    async def drop_partition(self, session: AsyncSession, table: Table, name: str) -> None:
        """Drop a partition of a table that the transaction holds, in that transaction."""
        ...

    async def prepare_migration(self, session: AsyncSession) -> None:
        """Let one process at a time migrate, for as long as it takes."""
        ...

    async def history(self, session: AsyncSession) -> str | None:
        """Return what a restore or a failover changes; None where the engine cannot tell."""
        ...

    async def scrub(self) -> bool:
        """Leave as little of removed rows on the disk as the engine allows; False if put off."""
        ...

    async def follow(self, hint: "Hint") -> None:
        """Pass on hints that another process committed events; runs until cancelled."""
        ...

    def failure(self, error: DBAPIError) -> ServiceError | None:
        """Return what the caller is told of an error of the driver; None where it is a defect."""
        ...

    def is_repeatable(self, error: DBAPIError) -> bool:
        """Tell whether the same transaction may succeed when it is done once more from the start.

        Only where nothing was committed.
        """
        ...


class Hint(Protocol):
    """What to do when another process committed something, or may have."""

    def __call__(self) -> None:
        """Take the hint."""
        ...
