"""The audit trail of the control plane: where the interceptor chain leaves what it saw.

A change has its row from its own transaction (``Database.write``); here only a change that wrote
nothing gets one. A look is written before its answer leaves. Refused calls are counted and written
once a minute, at most so many kinds of them, so that a flood of bad tokens fills no disk.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from control_plane.audit.tables import audit_row, refusal_row
from control_plane.database import Database
from service_runtime.audit import AuditedCall, Refusal
from service_runtime.clock import Clock

EVERY_S: Final = 60.0
MOST_KINDS: Final = 50


@dataclass(slots=True)
class _Count:
    request_id: str  # of the first, which stands for all
    calls: int = 0


class DatabaseTrail:
    """The trail that is a table; ``run`` is its root task."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._refused: dict[Refusal, _Count] = {}
        self._some = asyncio.Event()
        self._writing = asyncio.Lock()

    async def changed(self, call: AuditedCall) -> None:
        """Write the row of a change that wrote nothing: a transaction with the row alone."""
        if not call.written:
            async with self._database.write():
                pass  # any transaction adds the row of the call that is being handled

    async def looked(self, call: AuditedCall) -> None:
        """Write the row of a look.

        Raises:
            DatabaseUnavailable: It could not be written: then nothing is shown.
        """
        async with self._database.write() as tx:
            tx.session.add(audit_row(call, at=tx.now))

    def refused(self, refusal: Refusal, *, request_id: str) -> None:
        """Count a refused call; beyond ``MOST_KINDS`` only by its reason."""
        if refusal not in self._refused and len(self._refused) >= MOST_KINDS:
            refusal = Refusal(reason=refusal.reason)
        if refusal not in self._refused and len(self._refused) >= 2 * MOST_KINDS:
            refusal = replace(refusal, reason="")
        self._refused.setdefault(refusal, _Count(request_id)).calls += 1
        self._some.set()

    async def run(self) -> None:
        """Write what was refused: the first at once, what follows a minute later."""
        while True:
            await self._some.wait()
            await self.flush()
            await self._clock.sleep(EVERY_S)

    async def flush(self) -> None:
        """Write what was counted; what cannot be written is kept, and counted on.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        async with self._writing:  # when this returns, whatever was counted before is written
            await self._write()

    async def _write(self) -> None:
        counted, self._refused = self._refused, {}
        self._some.clear()
        if not counted:
            return
        try:
            async with self._database.write() as tx:
                tx.session.add_all(
                    refusal_row(one, at=tx.now, count=count.calls, request_id=count.request_id)
                    for one, count in counted.items()
                )
        except BaseException:
            for one, count in counted.items():
                self._refused.setdefault(one, _Count(count.request_id)).calls += count.calls
            self._some.set()
            raise
