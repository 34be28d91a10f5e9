"""The folder of a spool: its names, who may use it, and what is wrong with it, in words.

A lock beside the file keeps a second worker away; the kernel gives it back however its holder ends.
A file that cannot be used is set aside, once: the one that was set aside before goes. What could be
read of it is in the new file before that takes its place, so that a crash in between loses nothing.
"""

import errno
import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BY_ERRNO: Final = {
    errno.EBUSY: "in_use",
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
}
_BY_CODE: Final = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_CANTOPEN: "read_only",
    sqlite3.SQLITE_BUSY: "in_use",
    sqlite3.SQLITE_LOCKED: "in_use",
}


class SpoolInUse(OSError):
    """Another worker has the folder."""


class SpoolUnusable(Exception):
    """The file is none that this worker can go on with; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """Where the files of one camera's spool lie."""

    path: Path

    @property
    def database(self) -> Path:
        """Return the spool itself."""
        return self.path / "spool.db"

    @property
    def log(self) -> Path:
        """Return SQLite's log of what is not in the file yet."""
        return self.path / "spool.db-wal"

    @property
    def aside(self) -> Path:
        """Return where a file is that could not be used."""
        return self.path / "spool.aside"

    def lock(self) -> int:
        """Take the folder and return what holds it, to be closed in the end.

        Raises:
            SpoolInUse: Another worker has it.
            OSError: Nothing can be written there.
        """
        held = os.open(self.path / "spool.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise SpoolInUse(errno.EBUSY, "another worker uses it", str(self.path)) from None
        return held

    def prepare(self) -> None:
        """Make the file, readable by nobody else, where it is not there.

        Raises:
            OSError: It cannot be made.
        """
        os.close(os.open(self.database, os.O_RDWR | os.O_CREAT, 0o600))

    def begin_fresh(self) -> Path:
        """Return where a file is made that is to take the place of the present one.

        Raises:
            OSError: It cannot be made.
        """
        fresh = self.path / "spool.new"
        for path in (fresh, self.path / "spool.new-wal", self.path / "spool.new-shm"):
            path.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        return fresh

    def take_fresh(self) -> None:
        """Have the file of ``begin_fresh`` take the place of the present one, which goes aside.

        From the first renaming on, ``finish`` brings it to its end, whatever happens in between.
        """
        (self.path / "spool.new").replace(self.path / "spool.next")
        self.finish()

    def finish(self) -> None:
        """Bring a change of files to its end that a process left half done."""
        coming = self.path / "spool.next"
        if not coming.exists():
            return
        if self.database.exists():
            self.database.replace(self.aside)
        # a log that outlived its file would be taken for the new one's
        if self.log.exists():
            self.log.replace(self.path / "spool.aside-wal")
        coming.replace(self.database)

    def forget_aside(self, before_s: float) -> None:
        """Remove the file that could not be used, where it was written before a time."""
        for path in (self.aside, self.path / "spool.aside-wal"):
            if path.exists() and path.stat().st_mtime < before_s:
                path.unlink()


def trouble_of(error: Exception) -> str:
    """Return what keeps the disk from taking what is written, as the contract names it."""
    if isinstance(error, sqlite3.Error):
        return _BY_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "failed")
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, "failed")
    return "failed"


def is_damage(error: Exception) -> bool:
    """Return whether an error says that the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
