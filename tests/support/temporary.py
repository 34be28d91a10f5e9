"""Where tests put their files: into memory, where the machine has enough of it to spare.

What is under test waits for the disk (``fsync``) before it acknowledges anything, several times in
most tests, and a disk that is shared takes its time: on one, the whole suite took a third longer.
Tests kill processes, never the machine, so nothing that they ask would be answered differently.
Processes that tests start find the folder by ``TMPDIR``, and whoever sets that himself keeps it.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
# several times what a run needs: a container often has 64 MiB there
_ENOUGH_BYTES: Final = 4 << 30


def use_memory() -> None:
    """Have temporary files of this process, and of those that it starts, lie in memory."""
    if "TMPDIR" not in os.environ and _fits(_MEMORY):
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # looked up anew


def _fits(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):  # not on this system
        return False
    runs_programs = not found.f_flag & os.ST_NOEXEC
    return (
        runs_programs
        and os.access(folder, os.W_OK | os.X_OK)
        and found.f_bavail * found.f_frsize >= _ENOUGH_BYTES
    )
