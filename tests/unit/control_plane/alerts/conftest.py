"""A control plane on a clock that stands still, with what tests of alerts ask of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.cameras.tables import CameraRow
from control_plane.database import Database
from tests.support.alerts import AlertSite
from tests.support.control_plane import running_control_plane
from tests.support.engines import engine_of
from tests.support.virtual_clock import VirtualClock

CAMERA = "3f0c2a9e-8d43-4d57-9d0e-0f6f0f6c8a11"


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


@pytest.fixture
async def replicas(
    tmp_path: Path, clock: VirtualClock, database_engine: str
) -> AsyncIterator[tuple[Database, Database]]:
    """Two replicas' views of one database; one process is all that SQLite allows."""
    first = Database(await engine_of(tmp_path, clock), clock)
    second = first
    await first.open()
    if database_engine != "sqlite":
        second = Database(await engine_of(tmp_path, clock), clock)
        await second.open()
    async with first.write() as tx:
        tx.session.add(
            CameraRow(
                id=CAMERA, name="door", name_key="door", connection_sealed=b"",
                connection_scheme="rtsp", desired_state="running", location="", description="",
                extra={}, zone_config={}, model_settings={}, version=1, generation=1,
                created_at=tx.now, updated_at=tx.now,
            )
        )  # fmt: skip
    yield first, second
    await first.close()
    await second.close()
