"""A control plane with people to see."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.control_plane import RunningControlPlane, running_control_plane


@pytest.fixture
async def site(tmp_path: Path, database_engine: str) -> AsyncIterator[RunningControlPlane]:
    del database_engine  # chosen, for the control plane
    async with running_control_plane(tmp_path) as site:
        yield site
