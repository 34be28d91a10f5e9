"""A control plane on a clock that stands still, with what tests of alerts ask of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.alerts import AlertSite
from tests.support.control_plane import running_control_plane
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def site(
    tmp_path: Path, clock: VirtualClock, database_engine: str
) -> AsyncIterator[AlertSite]:
    del database_engine  # chosen, for the control plane
    async with running_control_plane(tmp_path, clock=clock) as running:
        yield AlertSite.of(running)
        assert not running.stopping, "a root task of the control plane crashed"
