"""``python -m tests.faults.crashing_writer PLACE POINT ID``: a writer that is killed inside.

It makes a change, a row and its event, in one transaction of the database at a path or an address,
and sends itself SIGKILL once it has written ``the row``, ``the event`` or ``the number``.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from control_plane.database import Database
from control_plane.engines.port import Engine
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from control_plane.sightings.tables import ErasedSightingRow
from service_runtime.clock import SystemClock
from service_runtime.secret import Secret


async def main(place: str, point: str, one: str) -> None:
    clock = SystemClock()
    engine: Engine = (
        PostgresEngine(Secret(place), clock) if "://" in place else SqliteEngine(Path(place))
    )
    database = Database(engine, clock)
    await database.open()

    def reach(here: str) -> None:
        if here == point:
            os.kill(os.getpid(), signal.SIGKILL)

    async with database.write() as tx:
        tx.session.add(ErasedSightingRow(id=one, erased_at=tx.now))
        await tx.session.flush()
        reach("the row")
        await tx.append_event("test.change", sighting_id=one, payload={})
        reach("the event")
        await tx.number_events()
        reach("the number")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
