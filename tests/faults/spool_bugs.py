"""Bugs that the row "worker spool" must find, planted into the spool of this process."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from vision_worker.spool import opening, salvage, spool
from vision_worker.spool.files import SpoolFolder
from vision_worker.spool.line import Durable
from vision_worker.spool.model import Change, Outcome
from vision_worker.spool.spool import ReportSpool
from vision_worker.spool.store import Store


def promise_before_the_commit() -> None:
    """Call durable what has only been added."""
    real = ReportSpool._added

    def added(self: ReportSpool) -> Durable:
        real(self)
        durable: Durable = asyncio.get_running_loop().create_future()
        durable.set_result(True)
        return durable

    ReportSpool._added = added  # type: ignore[method-assign]


def forget_what_was_sent() -> None:
    """Drop from the file what is under way, as if it were safe."""
    real = Store.commit

    def commit(self: Store, change: Change) -> Outcome:
        outcome = real(self, change)
        names = [batch.name for batch in outcome.batches]
        if names:
            real(self, Change(now_s=change.now_s, acknowledged=names))
        return outcome

    Store.commit = commit  # type: ignore[method-assign]


def number_batches_in_memory() -> None:
    """Leave out of the file what was cut, so that it is cut anew, under another name."""
    real = Store._cut_one

    def cut_one(self: Store, kind: Any) -> Any:
        batch = real(self, kind)
        self._connection.execute("DELETE FROM batches")
        return batch

    Store._cut_one = cut_one  # type: ignore[method-assign]


def forget_acknowledgements() -> None:
    """Send what an earlier process left under a name of this one."""
    real = opening.Opener.open

    def open_(self: opening.Opener, *, lock: int, now_s: float) -> opening.Opened:
        opened = real(self, lock=lock, now_s=now_s)
        if opened.store is None:
            return opened
        session_id = opened.store.session_id
        renamed = tuple(
            spool._renamed(batch, session_id, number + 1)
            for number, batch in enumerate(opened.under_way)
        )
        return replace(opened, under_way=renamed)

    opening.Opener.open = open_  # type: ignore[method-assign]


def salvage_after_the_change_of_files() -> None:
    """Put the damaged file aside before what can be read of it is in the new one."""
    real = salvage.salvage

    def too_late(damaged: Path, into: Path, **named: Any) -> Any:
        folder = SpoolFolder(damaged.parent)
        damaged.replace(folder.aside)
        if folder.log.exists():
            folder.log.replace(folder.path / "spool.aside-wal")
        return real(folder.aside, into, **named)

    patch.object(opening, "salvage", too_late).start()


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (
        promise_before_the_commit,
        forget_what_was_sent,
        number_batches_in_memory,
        forget_acknowledgements,
        salvage_after_the_change_of_files,
    )
}


def plant(name: str) -> None:
    """Put a bug in; none where the name is empty."""
    if name:
        BUGS[name]()
