"""A database as the control plane has it, on a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.database import Database
from tests.support.engines import engine_of
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def database(
    tmp_path: Path, clock: VirtualClock, database_engine: str
) -> AsyncIterator[Database]:
    del database_engine  # chosen, for ``engine_of``
    made = Database(await engine_of(tmp_path, clock), clock)
    await made.open()
    yield made
    await made.close()
