"""The backups of this control plane: makes them one at a time, keeps the newest, lists them.

``ask`` returns at once; ``run`` is the root task that makes what was asked for. A backup is written
into a folder whose name begins with a point and renamed when it is whole, so that a crash leaves no
half of one; such folders go at a start a day later. Where several replicas share a database, a
backup stands with the replica that was asked: give them one folder (``DFIP_BACKUP_DIR``).
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from control_plane.atomic_files import sync_directory
from control_plane.backups.archive import ArchiveWriter, blob_name
from control_plane.backups.copying import Copier
from control_plane.backups.model import (
    ARCHIVE_FILE,
    MANIFEST_FILE,
    MASTER_KEY,
    BackupError,
    Manifest,
)
from control_plane.blobs.directory import BlobDirectory, BlobMissing
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable
from service_runtime.clock import Clock
from service_runtime.errors import FailedPrecondition
from service_runtime.structured_logging import get_logger

RUNNING, COMPLETE, FAILED = "running", "complete", "failed"
_PREFIX: Final = "dfip-backup-"
_PARTIAL: Final = ".partial-"
_ABANDONED_S: Final = 24 * 3600.0
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup as administrators see it; ``reason`` says why it failed."""

    id: str
    state: str
    made_at: datetime
    with_keys: bool
    path: Path
    size: int = 0
    files: int = 0
    reason: str = ""


class BackupShelf:
    """Makes and lists backups; ``run`` is its root task.

    Args:
        folder: Where they go; made for its owner alone.
        copier: Copies the database.
        blobs: Has the pictures.
        master_key_file: What opens the secrets; copied only where that is asked for.
        master_key_id: Tells which master key that is.
        clock: Where time comes from.
        keep: How many backups are kept.
    """

    def __init__(
        self,
        *,
        folder: Path,
        copier: Copier,
        blobs: BlobDirectory,
        master_key_file: Path,
        master_key_id: Callable[[], str],
        clock: Clock,
        keep: int,
    ) -> None:
        self._folder = folder
        self._copier = copier
        self._blobs = blobs
        self._master_key_file = master_key_file
        self._master_key_id = master_key_id
        self._clock = clock
        self._keep = keep
        self._asked = asyncio.Event()
        self._current: Backup | None = None

    def ask(self, *, with_keys: bool) -> Backup:
        """Have a backup made, and return what it will be.

        Raises:
            FailedPrecondition: ``BACKUP_RUNNING``.
        """
        if self._current is not None and self._current.state == RUNNING:
            raise FailedPrecondition(
                "BACKUP_RUNNING", "A backup is being made; wait for it: GET /admin/backups."
            )
        now = self._clock.now()
        name = f"{_PREFIX}{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._current = Backup(
            id=name, state=RUNNING, made_at=now, with_keys=with_keys, path=self._folder / name
        )
        self._asked.set()
        return self._current

    async def backups(self) -> Sequence[Backup]:
        """Return the backups, newest first, with the one that is being made or has failed."""
        current = self._current
        found = await asyncio.to_thread(self._found)
        if current is not None:
            # not complete before the surplus is gone
            found = [one for one in found if one.id != current.id] + [current]
        return sorted(found, key=lambda one: (one.made_at, one.id), reverse=True)

    async def run(self) -> None:
        """Make what is asked for, for ever."""
        await asyncio.to_thread(self._remove_partial)
        while True:
            await self._asked.wait()
            self._asked.clear()
            asked = self._current
            if asked is None:
                continue
            try:
                await self._make(asked)
            except BackupError as error:
                self._fail(asked, str(error))
            except OSError as error:
                self._fail(asked, f"{error.filename or self._folder}: {error.strerror}")
            except (DatabaseUnavailable, DatabaseBusy) as error:
                self._fail(asked, error.sentence)

    def _fail(self, asked: Backup, reason: str) -> None:
        self._current = replace(asked, state=FAILED, reason=reason)
        _log.error("backup.failed", backup=asked.id, reason=reason)

    async def _make(self, asked: Backup) -> None:
        partial = self._folder / f"{_PARTIAL}{asked.id}"
        try:
            await asyncio.to_thread(_make_private, self._folder, partial)
            manifest = await self._fill(asked, partial)
            await asyncio.to_thread(self._finish, partial, asked, manifest)
        finally:
            await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        await asyncio.to_thread(self._prune)
        self._current = None
        _log.info("backup.complete", backup=asked.id, bytes=manifest.size)

    async def _fill(self, asked: Backup, partial: Path) -> Manifest:
        copy = await self._copier.copy(partial)
        made_at = self._clock.now()
        missing = 0
        with ArchiveWriter(partial / ARCHIVE_FILE) as archive:
            await asyncio.to_thread(archive.add_file, copy.name, copy.path)
            copy.path.unlink()
            for blob_id in copy.blob_ids:
                try:
                    content = await self._blobs.get(blob_id)
                except BlobMissing:
                    missing += 1  # removed since the copy: it shall not come back
                    continue
                await asyncio.to_thread(archive.add_bytes, blob_name(blob_id), content)
            if asked.with_keys:
                await asyncio.to_thread(archive.add_file, MASTER_KEY, self._master_key_file)
        return Manifest(
            id=asked.id,
            made_at=made_at.isoformat(),
            revision=copy.revision,
            feed_id=copy.feed_id,
            master_key_id=self._master_key_id(),
            with_keys=asked.with_keys,
            missing_blobs=missing,
            files=archive.files,
        )

    def _finish(self, partial: Path, asked: Backup, manifest: Manifest) -> None:
        descriptor = os.open(partial / MANIFEST_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(manifest.to_json())
            file.flush()
            os.fsync(file.fileno())
        sync_directory(partial)
        partial.rename(asked.path)
        sync_directory(self._folder)

    def _found(self) -> list[Backup]:
        found = []
        for path in self._folder.glob(f"{_PREFIX}*"):
            try:
                manifest = Manifest.read(path)
            except BackupError:
                _log.warning("backup.unreadable", backup=path.name)
                continue
            found.append(
                Backup(
                    id=path.name,
                    state=COMPLETE,
                    made_at=manifest.when,
                    with_keys=manifest.with_keys,
                    path=path,
                    size=manifest.size,
                    files=len(manifest.files),
                )
            )
        return found

    def _prune(self) -> None:
        newest_first = sorted(self._found(), key=lambda one: (one.made_at, one.id), reverse=True)
        for old in newest_first[self._keep :]:
            # out of sight first: half of one must never look like one
            hidden = self._folder / f"{_PARTIAL}{old.id}"
            old.path.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)
            _log.info("backup.removed", backup=old.id)

    def _remove_partial(self) -> None:
        # a younger one may be another replica's, which is at work
        before = self._clock.now().timestamp() - _ABANDONED_S
        for path in self._folder.glob(f"{_PARTIAL}*"):
            if path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)


def _make_private(folder: Path, partial: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    partial.mkdir(mode=0o700)
