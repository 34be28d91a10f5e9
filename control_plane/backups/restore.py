"""The way back: a backup becomes a data directory (and a database), while nothing serves.

Everything is put together in a folder beside the target and renamed at the end, so a restore that
fails leaves nothing. Before that, the feed gets a new id, so that resume tokens from after the
backup fail instead of missing events, and whoever was erased since the backup is erased again.
"""

import asyncio
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from control_plane.atomic_files import sync_directory, write_atomically
from control_plane.backups.archive import extract
from control_plane.backups.model import (
    ARCHIVE_FILE,
    BLOBS,
    MASTER_KEY,
    POSTGRES_DUMP,
    SQLITE_COPY,
    BackupError,
    Manifest,
)
from control_plane.backups.postgres import PostgresTools
from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.removal import BlobRemover
from control_plane.data_dir import DATABASE_FILE, KEYS_FOLDER, MASTER_KEY_FILE, DataDir
from control_plane.database import Database
from control_plane.engines.port import Engine
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from control_plane.events.tables import FeedRow
from control_plane.people.erasure import Erasure
from control_plane.people.tables import PersonRow
from control_plane.schema import migrate
from service_runtime.clock import Clock
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was restored: how many pictures, who was erased again, whether the key is there."""

    data_dir: Path
    made_at: str
    blobs: int
    erased_again: int
    has_key: bool
    master_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A restore that was asked for.

    Attributes:
        backup: Folder of the backup.
        data_dir: The data directory to make; must not be there, or be empty.
        erased: Ids of the people who must not come back.
        master_key_file: The key that the backup left out; None to put it there later.
        database_url: An empty PostgreSQL database, for a backup of one.
        postgres_bin_dir: Where ``pg_restore`` is; None looks in PATH.
        clock: Where time comes from.
    """

    backup: Path
    data_dir: Path
    erased: Sequence[str]
    master_key_file: Path | None
    database_url: Secret | None
    postgres_bin_dir: Path | None
    clock: Clock

    async def run(self) -> Restored:
        """Restore.

        Raises:
            BackupError: It cannot be done; says why. Nothing was changed, unless it says so.
            OSError: A folder is full or not ours.
        """
        manifest = Manifest.read(self.backup)
        self._require_fitting(manifest)
        if self.data_dir.exists() and any(self.data_dir.iterdir()):
            raise BackupError(
                f"{self.data_dir} is not empty; name a new folder, or move the old one away."
            )
        self.data_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        staging = self.data_dir.parent / f".restoring-{secrets.token_hex(4)}"
        try:
            self._unpack(manifest, staging)
            erased = await self._revive(staging)
            (staging / POSTGRES_DUMP).unlink(missing_ok=True)
            sync_directory(staging)
            if self.data_dir.exists():
                self.data_dir.rmdir()
            staging.rename(self.data_dir)
            sync_directory(self.data_dir.parent)
        finally:
            await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)
        return Restored(
            data_dir=self.data_dir,
            made_at=manifest.made_at,
            blobs=sum(name.startswith(BLOBS) for name in manifest.files),
            erased_again=erased,
            has_key=manifest.with_keys or self.master_key_file is not None,
            master_key_id=manifest.master_key_id,
        )

    def _require_fitting(self, manifest: Manifest) -> None:
        if (POSTGRES_DUMP in manifest.files) != (self.database_url is not None):
            raise BackupError(
                "this is a backup of a PostgreSQL database; set DFIP_DATABASE_URL to an empty one"
                if self.database_url is None
                else "this is a backup of a SQLite database; leave DFIP_DATABASE_URL out"
            )
        free = shutil.disk_usage(_existing(self.data_dir)).free
        if manifest.size > free:
            raise BackupError(
                f"the backup holds {manifest.size} bytes and the disk has {free} left; make room."
            )

    def _unpack(self, manifest: Manifest, staging: Path) -> None:
        staging.mkdir(mode=0o700)
        blobs = staging / DataDir(staging).blobs.name
        blobs.mkdir(mode=0o700)
        extract(self.backup / ARCHIVE_FILE, manifest, _places(staging, blobs))
        if self.master_key_file is not None:
            keys = staging / KEYS_FOLDER
            keys.mkdir(mode=0o700, exist_ok=True)
            write_atomically(keys / MASTER_KEY_FILE, self.master_key_file.read_bytes())

    async def _revive(self, staging: Path) -> int:
        """Bring the database up to date, begin a new feed, and erase again; return how many."""
        database = Database(self._engine(staging), self.clock)
        await database.open()
        try:
            if self.database_url is not None:
                await self._fill(database, self.database_url, staging)
            await migrate(database)
            async with database.write() as tx:
                await tx.session.execute(update(FeedRow).values(feed_id=new_id()))
            return await self._erase_again(database, staging)
        except CommandError:
            raise BackupError(
                "the backup was written by a later version of dfip; restore it with that one."
            ) from None
        except (DBAPIError, sqlite3.Error) as error:
            raise BackupError(
                f"the database of the backup cannot be used ({type(error).__name__}); take"
                " another backup, or another empty database."
            ) from None
        finally:
            await database.close()

    async def _fill(self, database: Database, url: Secret, staging: Path) -> None:
        async with database.read() as session:
            tables = await session.scalar(
                text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            )
        if tables:
            raise BackupError(
                "the database of DFIP_DATABASE_URL is not empty; make a new one for the restore."
            )
        tools = PostgresTools(url, self.postgres_bin_dir, staging)
        await tools.restore(staging / POSTGRES_DUMP)

    async def _erase_again(self, database: Database, staging: Path) -> int:
        blobs = BlobDirectory(DataDir(staging).blobs)
        erasure = Erasure(database, BlobRemover(database, blobs, self.clock))
        async with database.read() as session:
            there = set(await session.scalars(select(PersonRow.id)))
        back = [person_id for person_id in self.erased if person_id in there]
        for person_id in back:
            await erasure.erase_person(person_id)
        return len(back)

    def _engine(self, staging: Path) -> Engine:
        if self.database_url is not None:
            return PostgresEngine(self.database_url, self.clock)
        return SqliteEngine(staging / DATABASE_FILE)


def _places(staging: Path, blobs: Path) -> Callable[[str], Path]:
    """Return where each file of an archive goes."""

    def place(name: str) -> Path:
        if name == SQLITE_COPY:
            return staging / DATABASE_FILE
        if name == POSTGRES_DUMP:
            return staging / POSTGRES_DUMP
        if name == MASTER_KEY:
            (staging / KEYS_FOLDER).mkdir(mode=0o700)
            return staging / KEYS_FOLDER / MASTER_KEY_FILE
        blob_id = name.removeprefix(BLOBS)
        folder = blobs / blob_id[:2]
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / blob_id

    return place


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
