"""Opening the spool's file, whatever state it is in. Runs on the spool's thread.

A file that this worker cannot go on with is set aside, and a new one begun with what can be read of
it. Where no file can be
had at all, the error says why, and ``spool`` goes on in memory.
"""

import sqlite3
from dataclasses import dataclass, replace

from vision_worker.spool.files import SpoolFolder, SpoolUnusable, is_damage
from vision_worker.spool.model import Batch, SpoolLimits
from vision_worker.spool.salvage import NOTHING, Salvaged, salvage
from vision_worker.spool.store import Store, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What came of an attempt.

    Attributes:
        lock: holds the folder; -1 where that failed.
        store: the file; None where there is an error.
        under_way: batches that an earlier process left.
        set_aside: why a file was set aside; empty where none was.
        salvaged: what of it is in the new one.
    """

    lock: int
    store: Store | None = None
    under_way: tuple[Batch, ...] = ()
    dropped_sightings: int = 0
    dropped_samples: int = 0
    damaged: int = 0
    set_aside: str = ""
    salvaged: Salvaged = NOTHING
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens the file of a folder; ``lock`` is what holds the folder already, or -1."""

    folder: SpoolFolder
    camera_id: str
    limits: SpoolLimits

    def open(self, *, lock: int, now_s: float) -> Opened:
        """Open the file, or a new one in its place."""
        try:
            if lock < 0:
                lock = self.folder.lock()
            self.folder.finish()
            self.folder.prepare()
            before_s = now_s - self.limits.longest_s
            self.folder.forget_aside(before_s)
            return self._inherit(lock, before_s)
        except SpoolUnusable as error:
            return self.replace(lock=lock, reason=error.reason)
        except (sqlite3.Error, OSError) as error:
            if is_damage(error):
                return self.replace(lock=lock, reason="damaged")
            return Opened(lock=lock, error=error)

    def replace(self, *, lock: int, reason: str) -> Opened:
        """Begin a new file with what can be read of the old one, and set that aside."""
        try:
            fresh = self.folder.begin_fresh()
            open_store(fresh, camera_id=self.camera_id, limits=self.limits).close()
            salvaged = NOTHING
            if reason != "newer_format":
                salvaged = salvage(
                    self.folder.database, fresh, camera_id=self.camera_id, limits=self.limits
                )
            self.folder.take_fresh()
            opened = self._inherit(lock, before_s=0)
        except (sqlite3.Error, OSError) as error:
            return Opened(lock=lock, error=error)
        return replace(opened, set_aside=reason, salvaged=salvaged)

    def _inherit(self, lock: int, before_s: float) -> Opened:
        store = open_store(self.folder.database, camera_id=self.camera_id, limits=self.limits)
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
            damaged=store.damaged,
        )
