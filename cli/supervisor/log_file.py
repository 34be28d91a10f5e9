"""A log file that cannot grow without bound: full files move aside and the oldest goes."""

import os
from pathlib import Path
from typing import BinaryIO


class LogFile:
    """Appends lines to `path`; keeps at most `keep` older files beside it (`.1` is the newest).

    Args:
        path: the file; its folder exists.
        max_bytes: size at which a file is full.
        keep: how many full files stay.
    """

    def __init__(self, path: Path, *, max_bytes: int = 10 * 1024 * 1024, keep: int = 2) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: BinaryIO | None = None
        self._size = 0

    @property
    def path(self) -> Path:
        """Return the file that is written."""
        return self._path

    def write_line(self, line: bytes) -> None:
        """Append one line. A full disk loses the line, not the service that wrote it."""
        try:
            file = self._file or self._open()
            if self._size and self._size + len(line) + 1 > self._max_bytes:
                file = self._rotate()
            file.write(line + b"\n")
            file.flush()
            self._size += len(line) + 1
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                return

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "ab")
        self._size = self._path.stat().st_size
        return self._file

    def _rotate(self) -> BinaryIO:
        self.close()
        for number in range(self._keep, 0, -1):
            newer = self._numbered(number - 1) if number > 1 else self._path
            if newer.exists():
                newer.replace(self._numbered(number))
        if self._keep == 0:
            self._path.unlink()
        return self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
