"""``python -m tests.faults.crashing_control_plane POINT NUMBER``: a control plane that is killed.

It is the real one in all but this: at the given point of the given telemetry transaction it sends
itself SIGKILL. Points: ``before`` anything is written, ``inside`` the transaction when all is
written, ``after`` the commit and before anybody is answered. ``never`` lets it live.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from control_plane.__main__ import main
from control_plane.database import Transaction
from control_plane.telemetry import group_commit, store
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.model import Batch

POINTS = ("before", "inside", "after")


class Crash:
    """Counts transactions, and ends the process at one of them."""

    def __init__(self, point: str, number: int) -> None:
        self._point = point
        self._left = number
        self._write_group = store.write_group
        self._transaction = GroupCommit._transaction

    def install(self) -> None:
        """Put itself around the real functions."""
        crash = self

        async def transaction(line: GroupCommit, batches: Sequence[Batch]) -> Any:
            refused = await crash._transaction(line, batches)
            crash._reach("after")
            return refused

        patch.object(group_commit, "write_group", self._writing).start()
        patch.object(GroupCommit, "_transaction", transaction).start()

    async def _writing(self, tx: Transaction, batches: Sequence[Batch]) -> Any:
        self._left -= 1
        self._reach("before")
        written = await self._write_group(tx, batches)
        self._reach("inside")
        return written

    def _reach(self, point: str) -> None:
        if self._left <= 0 and point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Crash(sys.argv[1], int(sys.argv[2])).install()
    sys.exit(main(sys.argv[3:]))
