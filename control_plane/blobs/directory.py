"""Pictures as files in a directory of the site.

A blob is put once and never changed. Its id is random, so that nothing about a person can be read
from a name, and it is spread over 256 folders. ``removal.py`` says when one goes.
"""

import asyncio
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from control_plane.atomic_files import sync_directory, write_atomically

LARGEST_BLOB: Final = 1024 * 1024
_ID = re.compile(r"[0-9a-f]{32}")
_SWEEP_BATCH: Final = 500


class BlobMissing(Exception):
    """No blob has this id."""


class BlobTooLarge(Exception):
    """The content is over the bound of the store."""


class BlobDirectory:
    """A blob store below ``root``; makes its folders as they are needed."""

    def __init__(self, root: Path, largest: int = LARGEST_BLOB) -> None:
        self._root = root
        self._largest = largest

    async def put(self, content: bytes) -> str:
        """Keep ``content``, durable when this returns, and return its id.

        Raises:
            BlobTooLarge: It is larger than the store takes.
            OSError: The disk is full or not ours.
        """
        if len(content) > self._largest:
            raise BlobTooLarge
        blob_id = secrets.token_hex(16)
        await asyncio.to_thread(self._write, self._path(blob_id), content)
        return blob_id

    async def get(self, blob_id: str) -> bytes:
        """Return the content.

        Raises:
            BlobMissing: No blob has this id.
        """
        try:
            return await asyncio.to_thread(self._path(blob_id).read_bytes)
        except FileNotFoundError:
            raise BlobMissing from None

    async def delete(self, blob_ids: Sequence[str]) -> int:
        """Remove the blobs, for good when this returns, and return how many were there.

        Raises:
            OSError: One could not be removed; those before it are gone.
        """
        return await asyncio.to_thread(self._delete, [self._path(blob_id) for blob_id in blob_ids])

    async def sweep(
        self, *, older_than: datetime, named: Callable[[Sequence[str]], Awaitable[set[str]]]
    ) -> int:
        """Remove the blobs that no row names, and files half-written; return how many.

        A crash between a blob and its row leaves such files. Younger ones may belong to a
        transaction that is still open, so they stay.

        Args:
            older_than: Only files written before this.
            named: Answers which of some blob ids a row names.
        """
        swept = 0
        for folder in await asyncio.to_thread(self._folders):
            blob_ids, partial = await asyncio.to_thread(_old_files, folder, older_than.timestamp())
            orphans = list(partial)
            for start in range(0, len(blob_ids), _SWEEP_BATCH):
                batch = blob_ids[start : start + _SWEEP_BATCH]
                kept = await named(batch)
                orphans += [self._path(blob_id) for blob_id in batch if blob_id not in kept]
            swept += await asyncio.to_thread(self._delete, orphans)
        return swept

    def _path(self, blob_id: str) -> Path:
        # ids come from our own rows; the check keeps a damaged one from naming another file
        if not _ID.fullmatch(blob_id):
            raise BlobMissing
        return self._root / blob_id[:2] / blob_id

    def _write(self, path: Path, content: bytes) -> None:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(self._root)
        write_atomically(path, content)

    def _delete(self, paths: Sequence[Path]) -> int:
        removed = 0
        folders = set()
        for path in paths:
            try:
                path.unlink()
            except FileNotFoundError:
                continue
            removed += 1
            folders.add(path.parent)
        for folder in folders:
            sync_directory(folder)
        return removed

    def _folders(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        return sorted(path for path in self._root.iterdir() if path.is_dir())


def _old_files(folder: Path, before: float) -> tuple[list[str], list[Path]]:
    blob_ids: list[str] = []
    partial: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                continue
            if entry.stat(follow_symlinks=False).st_mtime >= before:
                continue
            if _ID.fullmatch(entry.name):
                blob_ids.append(entry.name)
            elif entry.name.endswith(".new"):
                partial.append(Path(entry.path))
    return blob_ids, partial
