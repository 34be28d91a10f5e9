"""A server for the tests of this folder, and a sentence where there cannot be one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cameras.gstreamer import RtspServer, missing, rtsp_server
from tests.support.watching import Watching, watching


def pytest_sessionstart() -> None:
    """End at once where the packages are missing: a test that did not run proves nothing."""
    if (what_to_do := missing()) is not None:
        pytest.exit(what_to_do, returncode=3)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    """Run GStreamer's RTSP server."""
    with rtsp_server(tmp_path) as running:
        yield running


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Watching]:
    """Watch cameras in this process, as a worker does."""
    async with watching(tmp_path) as running:
        yield running
