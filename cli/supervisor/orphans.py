"""Makes sure that no process outlives the site, whatever happened to the one that started it.

A worker's parent is the camera manager. When the manager is killed, its workers would belong to
init; on Linux the supervisor asks to be their new parent instead (prctl(2), PR_SET_CHILD_SUBREAPER)
and so always finds them below itself. It must then also collect the dead among them, or a manager
that adopted them would take a zombie for a living worker.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress

import psutil

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_DYING_S = 1.0
"""How long a killed process may take to disappear."""


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of_this() -> frozenset[int]:
    """Return the ids of this process's children."""
    return frozenset(child.pid for child in psutil.Process().children())


def collect_dead_orphans(is_own: Callable[[int], bool]) -> None:
    """Collect dead children that were adopted; `is_own` names those that asyncio waits for."""
    for child in psutil.Process().children():
        try:
            if is_own(child.pid) or child.status() != psutil.STATUS_ZOMBIE:
                continue
            os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue


def kill_everything_below(spared: frozenset[int] = frozenset()) -> list[psutil.Process]:
    """Kill every process below this one, but for the children named; returns the killed."""
    below = [
        process
        for child in psutil.Process().children()
        if child.pid not in spared
        for process in (child, *_descendants(child))
    ]
    for process in below:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return below


def clear_everything_below(spared: frozenset[int]) -> None:
    """Kill them and collect them too: for the very end, when nobody else waits for any of them."""
    psutil.wait_procs(kill_everything_below(spared), timeout=_DYING_S)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
