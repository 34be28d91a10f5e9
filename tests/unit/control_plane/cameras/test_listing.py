"""Pages of cameras: none lost, none twice; and health in SQL is health in Python."""

from datetime import datetime, timedelta
from itertools import product

import pytest

from control_plane.cameras.listing import CameraFilter, CameraPage, read_page
from control_plane.cameras.mapping import health_of
from control_plane.cameras.model import sort_key
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database
from control_plane.runtime.tables import CameraRuntimeRow
from service_runtime.errors import InvalidArgument
from service_runtime.identifiers import new_id
from tests.support.virtual_clock import VirtualClock

STATUSES = ("pending", "starting", "running", "stopping", "stopped", "failed", "backoff")
HEALTHS = ("healthy", "degraded", "unhealthy", "unknown")


async def add(database: Database, name: str, **runtime: object) -> str:
    async with database.write() as tx:
        camera_id = new_id()
        row = CameraRow(
            id=camera_id, name=name, name_key=sort_key(name), connection_sealed=b"-",
            connection_scheme="rtsp", desired_state="running", location="hall", description="",
            extra={}, zone_config={}, model_settings={}, version=1, generation=1,
            created_at=tx.now, updated_at=tx.now,
        )  # fmt: skip
        tx.session.add(row)
        await tx.session.flush()
        tx.session.add(CameraRuntimeRow(camera_id=camera_id, **runtime))
    return camera_id


async def page(
    database: Database, now: datetime, *, health: str = "", size: int = 0, token: str = ""
) -> CameraPage:
    async with database.read() as session:
        return await read_page(
            session, CameraFilter(health=health), page_size=size, page_token=token, now=now
        )


async def test_pages_hold_every_camera_once(database: Database, clock: VirtualClock) -> None:
    names = ["delta", "Alpha", "charlie", "alpha", "Bravo", "bravo", "\u00c4rger"]
    for name in names:
        await add(database, name)
    seen: list[str] = []
    token = ""
    while True:
        read = await page(database, clock.now(), size=2, token=token)
        seen += [camera.name for camera, _ in read.cameras]
        # one that comes before the place reached changes nothing
        await add(database, "aaa")
        token = read.next_page_token
        if not token:
            break
    assert sorted(seen) == sorted(names)
    assert [name.casefold() for name in seen] == sorted(name.casefold() for name in names)


async def test_a_token_belongs_to_its_filter(database: Database, clock: VirtualClock) -> None:
    await add(database, "a")
    await add(database, "b")
    token = (await page(database, clock.now(), size=1)).next_page_token
    with pytest.raises(InvalidArgument):
        await page(database, clock.now(), size=1, token=token, health="healthy")
    with pytest.raises(InvalidArgument):
        await page(database, clock.now(), size=1, token="AAAA")


async def test_health_in_the_query_is_health_as_shown(
    database: Database, clock: VirtualClock
) -> None:
    now = clock.now()
    signs = (None, now, now - timedelta(seconds=30), now - timedelta(seconds=31))
    for number, (status, health, sign) in enumerate(product(STATUSES, HEALTHS, signs)):
        await add(
            database,
            f"{number}",
            worker_status=status,
            health_status=health,
            last_sign_at=sign,
        )
    everything = (await page(database, now)).cameras
    for health in HEALTHS:
        expected = {
            camera.id for camera, runtime in everything if health_of(runtime, now=now) == health
        }
        found = {camera.id for camera, _ in (await page(database, now, health=health)).cameras}
        assert expected
        assert found == expected
