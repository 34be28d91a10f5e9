"""A copy of the database of one moment, and the pictures that it names, on either engine."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.backups.model import POSTGRES_DUMP, SQLITE_COPY, BackupError
from control_plane.backups.postgres import PostgresTools
from control_plane.blobs.removal import NAMED_BY
from control_plane.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCopy:
    """A copy, what it is called in the archive, and the ids of the pictures that it names."""

    name: str
    path: Path
    revision: str
    feed_id: str
    blob_ids: Sequence[str]


class Copier(Protocol):
    """Copies the database of one engine."""

    async def copy(self, folder: Path) -> DatabaseCopy:
        """Write a copy of this moment into a folder.

        Raises:
            BackupError: It cannot be made here; says what is missing.
            OSError: The disk is full or not ours.
        """
        ...


class SqliteCopier:
    """Copies a SQLite file with its online backup, while others write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def copy(self, folder: Path) -> DatabaseCopy:
        """Write a copy of this moment into a folder."""
        return await asyncio.to_thread(self._copy, folder / SQLITE_COPY)

    def _copy(self, target: Path) -> DatabaseCopy:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        source = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        copy = sqlite3.connect(target)
        try:
            source.backup(copy)  # in one step: one moment, and writers go on in the log
            copy.execute("PRAGMA journal_mode=DELETE")
            (answer,) = copy.execute("PRAGMA quick_check").fetchone()
            if answer != "ok":
                raise BackupError(f"{self._path} is damaged; restore it from an earlier backup.")
        except sqlite3.Error as error:
            raise BackupError(f"{self._path} cannot be copied ({error}).") from None
        finally:
            copy.close()
            source.close()
        engine = create_engine(f"sqlite:///{target}")
        try:
            with engine.connect() as connection:
                blob_ids = {
                    str(blob_id)
                    for column in NAMED_BY
                    for blob_id in connection.scalars(select(column).where(column.is_not(None)))
                }
                return DatabaseCopy(
                    name=SQLITE_COPY,
                    path=target,
                    revision=str(connection.scalar(text(_REVISION))),
                    feed_id=str(connection.scalar(text(_FEED))),
                    blob_ids=sorted(blob_ids),
                )
        finally:
            engine.dispose()


class PostgresCopier:
    """Dumps a PostgreSQL database in the moment of a transaction of ours."""

    def __init__(self, database: Database, tools: PostgresTools) -> None:
        self._database = database
        self._tools = tools

    async def copy(self, folder: Path) -> DatabaseCopy:
        """Write a copy of this moment into a folder."""
        target = folder / POSTGRES_DUMP
        async with self._moment() as session:
            snapshot = str(await session.scalar(text("SELECT pg_export_snapshot()")))
            blob_ids: set[str] = set()
            for column in NAMED_BY:
                named = await session.scalars(select(column).where(column.is_not(None)))
                blob_ids.update(str(blob_id) for blob_id in named)
            revision = str(await session.scalar(text(_REVISION)))
            feed_id = str(await session.scalar(text(_FEED)))
            await self._tools.dump(target, snapshot=snapshot)
        return DatabaseCopy(
            name=POSTGRES_DUMP,
            path=target,
            revision=revision,
            feed_id=feed_id,
            blob_ids=sorted(blob_ids),
        )

    @asynccontextmanager
    async def _moment(self) -> AsyncIterator[AsyncSession]:
        async with self._database.read() as session:
            # the dump takes as long as it takes, and this transaction holds its moment
            await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield session


_REVISION = "SELECT version_num FROM alembic_version"
_FEED = "SELECT feed_id FROM feed"
