"""A worker's log file, which never outgrows its bound.

The worker writes to the file itself, not through a pipe: a pipe would break with the manager, and
an adopted worker would write to nobody. The file is opened for appending, so that it can be emptied
under the writer's hands: what it held goes to ``worker.log.1``, of which there is one.
"""

import os
from pathlib import Path
from typing import BinaryIO

LOG_NAME = "worker.log"
OLDER_LOG_NAME = "worker.log.1"


def open_log(folder: Path, *, max_bytes: int) -> BinaryIO:
    """Open the log of a worker that is about to start."""
    trim_log(folder, max_bytes=max_bytes // 2)
    descriptor = os.open(folder / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "wb", buffering=0)


def trim_log(folder: Path, *, max_bytes: int) -> bool:
    """Empty a log that has outgrown its bound; its newest ``max_bytes`` become the older log.

    Lines that are written in that very moment may be lost. Returns whether it was too long.
    """
    log = folder / LOG_NAME
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return False
    if size <= max_bytes:
        return False
    with log.open("rb") as file:
        file.seek(size - max_bytes)
        newest = file.read(max_bytes)
    older = folder / OLDER_LOG_NAME
    older.unlink(missing_ok=True)
    descriptor = os.open(older, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(newest)
    os.truncate(log, 0)
    return True
