"""A day of sightings on PostgreSQL goes as a whole, and an id is there once whatever its day."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from control_plane.blobs.tables import BlobRemovalRow
from control_plane.database import Database
from control_plane.days import day_of
from control_plane.sightings.days import SIGHTINGS, drop_before, sighting_days
from control_plane.sightings.tables import SightingCandidateRow, SightingIdRow, SightingRow
from service_runtime.identifiers import new_id
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.sightings import CONTEXT, CROP, START, Reports, report
from tests.support.virtual_clock import VirtualClock

DAY = 86_400.0
# the migration makes days from 60 days ago on
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
NOW = (NOON - START).total_seconds()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
async def site(
    tmp_path: Path, clock: VirtualClock, on_postgres: str
) -> AsyncIterator[RunningControlPlane]:
    del on_postgres  # chosen, for the control plane
    async with running_control_plane(tmp_path, clock=clock, sighting_days=30) as site:
        yield site
        assert not site.stopping, "a root task of the control plane crashed"


def partition(database: Database, moment: datetime) -> str:
    return sighting_days(database).partition_of(day_of(moment)).name


async def count(site: RunningControlPlane, row: type) -> int:
    async with site.control_plane.parts.database.read() as session:
        return await session.scalar(select(func.count()).select_from(row)) or 0


async def test_a_day_goes_with_all_that_hangs_on_it(
    site: RunningControlPlane, clock: VirtualClock
) -> None:
    database = site.control_plane.parts.database
    reports = await Reports.open(site)
    person = new_id()
    old = report("review", also=person, start=NOW - DAY, crop=CROP, context=CONTEXT)
    await reports.send(old, report("review", also=person, start=NOW))
    assert partition(database, NOON - timedelta(days=1)) in await database.partition_names(
        SIGHTINGS
    )
    await clock.leap(29.4 * DAY)  # the first is older than 30 days, its day is not
    await site.control_plane.parts.retention.once()
    assert await count(site, SightingRow) == 2
    await clock.leap(0.5 * DAY)
    await site.control_plane.parts.retention.once()
    names = await database.partition_names(SIGHTINGS)
    assert partition(database, NOON - timedelta(days=1)) not in names
    assert partition(database, NOON) in names
    assert [await count(site, row) for row in (SightingRow, SightingIdRow)] == [1, 1]
    assert await count(site, SightingCandidateRow) <= 1
    async with asyncio.timeout(10):
        while await count(site, BlobRemovalRow):  # noqa: ASYNC110 - the task tells nobody
            await asyncio.sleep(0)
    assert not [p for p in (site.settings.data_dir / "blobs").rglob("*") if p.is_file()]


async def test_a_day_waits_for_its_longest_sighting(
    site: RunningControlPlane, clock: VirtualClock
) -> None:
    database = site.control_plane.parts.database
    await clock.leap(10 * DAY)
    reports = await Reports.open(site)
    await reports.send(report("unknown", start=NOW, end=NOW + 9 * DAY))
    days = sighting_days(database)
    await drop_before(database, days, NOON + timedelta(days=8))
    assert await count(site, SightingRow) == 1
    assert partition(database, NOON) in await database.partition_names(SIGHTINGS)
    await drop_before(database, days, NOON + timedelta(days=9, seconds=1))
    assert partition(database, NOON) not in await database.partition_names(SIGHTINGS)
    assert await count(site, SightingRow) == 0


async def test_two_cameras_with_one_id_on_two_days_make_one_sighting(
    site: RunningControlPlane,
) -> None:
    one, other = await Reports.open(site), await Reports.open(site)
    ids = [new_id() for _ in range(10)]
    for id_ in ids:
        await asyncio.gather(
            one.send(report("unknown", id=id_, start=NOW - DAY)),
            other.send(report("unknown", id=id_, start=NOW)),
        )
    assert await count(site, SightingRow) == len(ids)


async def test_what_started_long_ago_has_a_place_too(site: RunningControlPlane) -> None:
    reports = await Reports.open(site)
    await reports.send(report("unknown", start=NOW - 1_000 * DAY))
    assert await count(site, SightingRow) == 1
    await site.control_plane.parts.retention.once()
    assert [await count(site, row) for row in (SightingRow, SightingIdRow)] == [0, 0]


async def test_several_at_once_drop_each_day_once(site: RunningControlPlane) -> None:
    database = site.control_plane.parts.database
    reports = await Reports.open(site)
    starts = [NOW - number * DAY for number in range(1, 4)]
    await reports.send(*(report("unknown", start=start) for start in starts))
    gone = await asyncio.gather(
        *(drop_before(database, sighting_days(database), NOON) for _ in range(4))
    )
    assert sum(gone) == len(starts)
    assert [await count(site, row) for row in (SightingRow, SightingIdRow)] == [0, 0]
