"""One commit for all who wait, none answered before it, and nobody harmed by another's batch."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.telemetry import group_commit
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.model import Batch, Place, Sample
from control_plane.telemetry.store import write_group
from control_plane.telemetry.tables import TelemetrySampleRow, TelemetrySessionRow
from service_runtime.errors import NotFound, ResourceExhausted, Unavailable
from tests.support.virtual_clock import VirtualClock, settle

CAMERAS = ("a", "b")


@pytest.fixture
async def cameras(database: Database) -> None:
    async with database.write() as tx:
        for camera_id in CAMERAS:
            tx.session.add(
                CameraRow(
                    id=camera_id, name="", name_key="", connection_sealed=b"",
                    connection_scheme="rtsp", desired_state="running", location="", description="",
                    extra={}, zone_config={}, model_settings={}, version=1, generation=1,
                    created_at=tx.now, updated_at=tx.now,
                )
            )  # fmt: skip
            await tx.session.flush()
            tx.session.add(CameraRuntimeRow(camera_id=camera_id, epoch=1))


def report(camera_id: str = "a", *, samples: int = 1, **changes: Any) -> Batch:
    values: dict[str, Any] = {
        "camera_id": camera_id,
        "epoch": 1,
        "samples": [Sample(observed_us=at, occupancy=at) for at in range(samples)],
        "ids": [uuid.uuid4().int >> 66 for _ in range(samples)],
    }
    return Batch(**(values | changes))


@asynccontextmanager
async def running(line: GroupCommit) -> AsyncIterator[None]:
    task = asyncio.create_task(line.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(TelemetrySampleRow)) or 0


class Groups:
    """Notes the groups that are written, and can break some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.breaks: Callable[[list[Batch]], BaseException | None] = lambda _: None
        monkeypatch.setattr(group_commit, "write_group", self._write)

    async def _write(self, tx: Transaction, batches: list[Batch]) -> Any:
        self.sizes.append(len(batches))
        plan = await write_group(tx, batches)
        if error := self.breaks(batches):
            raise error
        return plan


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Groups:
    return Groups(monkeypatch)


@pytest.mark.usefixtures("cameras")
async def test_who_waits_together_shares_a_commit(
    database: Database, clock: VirtualClock, groups: Groups
) -> None:
    line = GroupCommit(database, clock)
    waiting = [asyncio.ensure_future(line.write(report())) for _ in range(300)]
    await settle()
    async with running(line):
        await asyncio.gather(*waiting)
    assert groups.sizes == [300]
    assert await count(database) == 300


@pytest.mark.usefixtures("cameras")
async def test_nobody_is_answered_before_the_commit(
    database: Database, clock: VirtualClock
) -> None:
    line = GroupCommit(database, clock)
    async with running(line):
        async with database.write():  # whoever writes now keeps the line from committing
            waiting = asyncio.ensure_future(line.write(report()))
            await settle()
            assert not waiting.done()
        await waiting
        assert await count(database) == 1


@pytest.mark.usefixtures("cameras")
async def test_one_poisoned_batch_fails_alone(
    database: Database, clock: VirtualClock, groups: Groups
) -> None:
    poison = report()
    groups.breaks = lambda batches: ValueError("unforeseen") if poison in batches else None
    line = GroupCommit(database, clock)
    sent = [report("a"), report("b"), poison, report("a"), report("gone"), report("b")]
    waiting = [asyncio.ensure_future(line.write(batch)) for batch in sent]
    await settle()
    async with running(line):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        type(None), type(None), ValueError, type(None), NotFound, type(None),
    ]  # fmt: skip
    assert await count(database) == 4


@pytest.mark.usefixtures("cameras")
async def test_a_database_that_takes_nothing_is_told_to_all_at_once(
    database: Database, clock: VirtualClock, groups: Groups
) -> None:
    full = OperationalError("INSERT", {}, Exception("database or disk is full"))
    groups.breaks = lambda _: full
    line = GroupCommit(database, clock)
    waiting = [asyncio.ensure_future(line.write(report())) for _ in range(20)]
    await settle()
    async with running(line):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        assert groups.sizes == [20]
        assert await count(database) == 0
        groups.breaks = lambda _: None
        await line.write(report())  # it heals by itself
    assert await count(database) == 1


@pytest.mark.usefixtures("cameras")
async def test_a_full_line_refuses_callers_and_slows_streams_down(
    database: Database, clock: VirtualClock
) -> None:
    line = GroupCommit(database, clock, most_waiting=10)
    first = asyncio.ensure_future(line.write(report(samples=20)))
    await settle()
    with pytest.raises(ResourceExhausted, match="slow down"):
        await line.write(report())
    patient = asyncio.ensure_future(line.write(report("b"), patient=True))
    await settle()
    assert not patient.done()
    async with running(line):
        await asyncio.gather(first, patient)
        await line.write(report())
    assert await count(database) == 22


@pytest.mark.usefixtures("cameras")
async def test_the_end_is_told_to_whoever_waits_and_whoever_comes(
    database: Database, clock: VirtualClock
) -> None:
    line = GroupCommit(database, clock, most_waiting=1)
    async with running(line), database.write():
        waiting = [asyncio.ensure_future(line.write(report())) for _ in range(2)]
        await settle()
        waiting.append(asyncio.ensure_future(line.write(report(), patient=True)))
        await settle()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable | ResourceExhausted) for outcome in outcomes)
    with pytest.raises(Unavailable):
        await line.write(report())


@pytest.mark.usefixtures("cameras")
async def test_a_caller_that_left_harms_nobody(database: Database, clock: VirtualClock) -> None:
    line = GroupCommit(database, clock)
    waiting = [asyncio.ensure_future(line.write(report())) for _ in range(3)]
    await settle()
    waiting[1].cancel()
    async with running(line):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes[0] is None
    assert outcomes[2] is None


@pytest.mark.usefixtures("cameras")
async def test_last_contact_is_written_once_a_second(
    database: Database, clock: VirtualClock
) -> None:
    async def contact() -> Any:
        async with database.read() as session:
            return (await session.get_one(CameraRuntimeRow, "a")).last_contact

    line = GroupCommit(database, clock)
    async with running(line):
        await line.write(report())
        first = await contact()
        assert first == clock.now()
        await clock.advance(0.9)
        await line.write(report())
        assert await contact() == first
        await clock.advance(0.1)
        await line.write(report())
        assert await contact() == clock.now()


@pytest.mark.usefixtures("cameras")
async def test_last_contact_waits_for_a_commit_that_worked(
    database: Database, clock: VirtualClock, groups: Groups
) -> None:
    groups.breaks = lambda _: OperationalError("INSERT", {}, Exception("full"))
    line = GroupCommit(database, clock)
    async with running(line):
        with pytest.raises(Unavailable):
            await line.write(report())
        groups.breaks = lambda _: None
        await line.write(report())
    async with database.read() as session:
        runtime = await session.get_one(CameraRuntimeRow, "a")
        assert runtime.last_contact == clock.now()


@pytest.mark.usefixtures("cameras")
async def test_a_session_goes_on_in_a_later_epoch_beside_a_new_one(
    database: Database, clock: VirtualClock
) -> None:
    line = GroupCommit(database, clock)

    def numbered(session_id: str, sequence: int, epoch: int) -> Batch:
        place = Place(session_id=session_id, sequence=sequence, digest=b"")
        return report(epoch=epoch, place=place)

    async with running(line):
        await line.write(numbered("old", 1, 1))
        async with database.write() as tx:
            (await tx.session.get_one(CameraRuntimeRow, "a")).epoch = 2
        # its reporter kept batches of the earlier session that nobody had acknowledged
        await line.write(numbered("new", 1, 2))
        await line.write(numbered("old", 1, 2))
        await line.write(numbered("old", 2, 2))
    async with database.read() as session:
        rows = await session.execute(
            select(TelemetrySessionRow.session_id, TelemetrySessionRow.last_sequence)
        )
        assert sorted(tuple(row) for row in rows) == [("new", 1), ("old", 2)]
        assert await session.scalar(select(func.count()).select_from(TelemetrySampleRow)) == 3
