"""The ledger of erasures: who was erased, kept beside the backups and in none of them.

A backup from before an erasure still holds the person. So each erasure is written here, by the
random id of the person alone, and a restore erases again whoever stands here. The ledger follows
the receipts in the database, so an erasure that a crash kept out of it gets in at the next start.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select

from control_plane.database import Database
from control_plane.people.tables import ErasureReceiptRow
from service_runtime.clock import Clock
from service_runtime.errors import NotFound
from service_runtime.identifiers import parse_id
from service_runtime.structured_logging import get_logger

LEDGER_FILE: Final = "erasures.jsonl"
_PAUSE_S: Final = 5.0
_RETRY_S: Final = 60.0
_OVERLAP: Final = timedelta(hours=1)
_log = get_logger(__name__)


class ErasureLedger:
    """Keeps the ledger; ``run`` is its root task."""

    def __init__(self, database: Database, folder: Path, clock: Clock) -> None:
        self._database = database
        self._path = folder / LEDGER_FILE
        self._clock = clock
        self._through: datetime | None = None

    async def run(self) -> None:
        """Write down erasures soon after they happen."""
        while True:
            committed = self._database.committed.next()
            try:
                await self.follow()
            except OSError as error:
                _log.error("ledger.not_written", errno=error.errno)
                await self._clock.sleep(_RETRY_S)
                continue
            await committed.wait()
            await self._clock.sleep(_PAUSE_S)

    async def follow(self) -> int:
        """Write down what is not in the ledger yet; return how many.

        Raises:
            OSError: The folder is full or not ours.
        """
        async with self._database.read() as session:
            query = select(ErasureReceiptRow.person_id, ErasureReceiptRow.erased_at)
            if self._through is not None:
                query = query.where(ErasureReceiptRow.erased_at >= self._through)
            rows = (await session.execute(query.order_by(ErasureReceiptRow.erased_at))).all()
        if not rows:
            return 0
        written = await asyncio.to_thread(self._append, [row.person_id for row in rows])
        # replicas' clocks differ by less than this
        self._through = rows[-1].erased_at - _OVERLAP
        return written

    def _append(self, erased: Sequence[str]) -> int:
        known = set(read_ledger(self._path))
        fresh = [person_id for person_id in dict.fromkeys(erased) if person_id not in known]
        if fresh:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lines = "".join(f"{json.dumps({'person_id': one})}\n" for one in fresh)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                # a line that a crash cut short ends here
                file.write("\n" + lines if _is_torn(self._path) else lines)
                file.flush()
                os.fsync(file.fileno())
        return len(fresh)


def read_ledger(path: Path) -> Sequence[str]:
    """Return the ids of the people who were erased; none where there is no ledger.

    Raises:
        OSError: It cannot be read.
    """
    if not path.exists():
        return ()
    erased = []
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        try:
            erased.append(parse_id(json.loads(line)["person_id"], noun="person"))
        except (ValueError, KeyError, TypeError, AttributeError, NotFound):
            continue  # cut short by a crash: the receipt brings it again
    return erased


def _is_torn(path: Path) -> bool:
    content = path.read_bytes()
    return bool(content) and not content.endswith(b"\n")
