"""The data directory: made private, and held by one control plane at a time.

Two processes on one database would each wake only their own watchers, and each sweep the other's
pictures. The kernel gives the lock back however the process ends.
"""

import fcntl
import os
from pathlib import Path

DATABASE_FILE = "dfip.db"
KEYS_FOLDER = "keys"
BLOBS_FOLDER = "blobs"
BACKUPS_FOLDER = "backups"
MASTER_KEY_FILE = "master.key"
_LOCK_FILE = "lock"


class DataDirInUse(Exception):
    """Another process holds the directory."""


class DataDir:
    """The folder that a control plane keeps everything in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """File of the database."""
        return self.path / DATABASE_FILE

    @property
    def keys(self) -> Path:
        """Folder of the keys."""
        return self.path / KEYS_FOLDER

    @property
    def blobs(self) -> Path:
        """Folder of the pictures."""
        return self.path / BLOBS_FOLDER

    def open(self) -> None:
        """Make what is missing, for the owner alone, and take the lock.

        Raises:
            DataDirInUse: Another process has it.
            OSError: Something cannot be made or read.
        """
        for folder in (self.path, self.blobs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise DataDirInUse(
                f"another control plane uses {self.path}; stop it, or choose another data directory"
            ) from None
        self._lock = lock

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
