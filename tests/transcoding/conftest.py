"""Three small services behind one Envoy, for all tests of a module."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.edge import RunningEdge, running_edge
from tests.transcoding.rooms import Rooms, running_rooms


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rooms(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rooms]:
    async with running_rooms(tmp_path_factory.mktemp("rooms")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(rooms: Rooms) -> AsyncIterator[RunningEdge]:
    async with running_edge(rooms.folder, clusters=rooms.clusters) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(rooms: Rooms, edge: RunningEdge) -> AsyncIterator[httpx.AsyncClient]:
    """Speak as an administrator."""
    async with edge.client(rooms.authority.token("admin")) as speaking:
        yield speaking
