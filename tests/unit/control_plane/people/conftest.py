"""A site to test people with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.people import PeopleSite, running_people_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[PeopleSite]:
    async with running_people_site(tmp_path) as site:
        yield site
