"""A database as the control plane has it, on a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.database import Database
from tests.support.database import place_database
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def database(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Database]:
    place_database(tmp_path / "dfip.db")
    made = Database(tmp_path / "dfip.db", clock)
    await made.open()
    yield made
    await made.close()
