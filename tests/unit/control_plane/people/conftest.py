"""A site to test people with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.people import PeopleSite, running_people_site


@pytest.fixture
async def site(tmp_path: Path, database_engine: str) -> AsyncIterator[PeopleSite]:
    del database_engine  # chosen, for the control plane
    async with running_people_site(tmp_path) as site:
        yield site
