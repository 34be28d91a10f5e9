"""Opening the spool's file, whatever state it is in. Runs on the spool's thread.

A file that this worker cannot go on with is set aside, and a new one begun. Where no file can be
had at all, the error says why, and ``spool`` goes on in memory.
"""

import sqlite3
from dataclasses import dataclass

from vision_worker.spool.files import SpoolFolder, SpoolUnusable, is_damage
from vision_worker.spool.model import Batch, SpoolLimits
from vision_worker.spool.store import Store, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What came of an attempt.

    Attributes:
        lock: holds the folder; -1 where that failed.
        store: the file; None where there is an error.
        under_way: batches that an earlier process left.
        set_aside: why a file was set aside; empty where none was.
    """

    lock: int
    store: Store | None = None
    under_way: tuple[Batch, ...] = ()
    dropped_sightings: int = 0
    dropped_samples: int = 0
    set_aside: str = ""
    error: Exception | None = None


def open_file(
    folder: SpoolFolder, *, lock: int, camera_id: str, limits: SpoolLimits, now_s: float
) -> Opened:
    """Open the file of a folder; ``lock`` is what holds the folder already, or -1."""
    try:
        if lock < 0:
            lock = folder.lock()
        folder.prepare()
        store = open_store(folder.database, camera_id=camera_id, limits=limits)
        return _inherited(store, lock, now_s - limits.longest_s)
    except SpoolUnusable as error:
        return replace_file(
            folder, lock=lock, camera_id=camera_id, limits=limits, reason=error.reason
        )
    except (sqlite3.Error, OSError) as error:
        if is_damage(error):
            return replace_file(
                folder, lock=lock, camera_id=camera_id, limits=limits, reason="damaged"
            )
        return Opened(lock=lock, error=error)


def replace_file(
    folder: SpoolFolder, *, lock: int, camera_id: str, limits: SpoolLimits, reason: str
) -> Opened:
    """Set the file aside and begin a new one."""
    try:
        folder.set_aside()
        folder.prepare()
        store = open_store(folder.database, camera_id=camera_id, limits=limits)
    except (sqlite3.Error, OSError) as error:
        return Opened(lock=lock, set_aside=reason, error=error)
    return Opened(lock=lock, store=store, set_aside=reason)


def _inherited(store: Store, lock: int, before_s: float) -> Opened:
    try:
        aged = store.drop_older(before_s)
        under_way = tuple(store.under_way())
    except BaseException:
        store.close()
        raise
    return Opened(
        lock=lock,
        store=store,
        under_way=under_way,
        dropped_sightings=aged.dropped_sightings,
        dropped_samples=aged.dropped_samples,
    )
