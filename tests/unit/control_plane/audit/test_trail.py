"""Audit rows: with the change or not at all, and few however many are refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from control_plane.audit.removal import remove_audit_rows
from control_plane.audit.tables import AuditRow
from control_plane.audit.trail import EVERY_S, MOST_KINDS, DatabaseTrail
from control_plane.database import Database, Transaction
from control_plane.events.tables import EventRow
from dfip.options.v1 import policy_pb2
from service_runtime.audit import AuditedCall, AuditObject, Refusal, set_current_change
from service_runtime.authentication import Caller
from tests.support.virtual_clock import VirtualClock, settle

ADA = Caller(
    subject="Ada",
    role=policy_pb2.ROLE_OPERATOR,
    camera_id=None,
    epoch=None,
    token_id="t1",
    expires_at=datetime(2027, 1, 1, tzinfo=UTC),
)


def call(*objects: AuditObject) -> AuditedCall:
    return AuditedCall(
        action="face.add",
        caller=ADA,
        request_id="r1",
        client_address="192.0.2.1",
        objects=objects,
        fields=("image",),
    )


async def rows(database: Database) -> list[AuditRow]:
    async with database.read() as session:
        return list(await session.scalars(select(AuditRow).order_by(AuditRow.sequence)))


@pytest.fixture
def handled() -> Any:
    """Handle a call in this task, until the test ends."""
    yield set_current_change
    set_current_change(None)


async def event(tx: Transaction) -> None:
    await tx.append_event("test.event", payload={})


async def test_the_first_transaction_of_a_call_writes_its_row(
    database: Database, handled: Any
) -> None:
    change = call(AuditObject(kind="person", id="p"))
    handled(change)

    async def add(tx: Transaction) -> None:
        await event(tx)
        tx.audit_object("face", "f")

    await database.transact(add)
    await database.transact(event)
    (row,) = await rows(database)
    assert change.written
    assert (row.actor, row.role, row.token_id, row.action) == ("Ada", "operator", "t1", "face.add")
    assert (row.object_kind, row.object_id) == ("face", "f")
    assert (row.within_kind, row.within_id) == ("person", "p")
    assert (row.outcome, row.reason, row.count) == ("done", "", 1)
    assert (row.fields, row.request_id, row.client_address) == (["image"], "r1", "192.0.2.1")


async def test_a_commit_that_fails_takes_the_row_with_it(
    database: Database, handled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = call()
    handled(change)

    async def fail(_: object, session: Any) -> None:
        await session.flush()
        assert (await session.scalars(select(AuditRow))).all()  # it was about to be there
        raise ConnectionError

    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(Database, "_commit", fail)
        await database.transact(event)
    assert await rows(database) == []
    async with database.read() as session:
        assert (await session.scalars(select(EventRow))).all() == []
    await database.transact(event)  # the call goes on: now both are there
    assert len(await rows(database)) == 1


async def test_a_row_that_cannot_be_written_takes_the_change_with_it(
    database: Database, handled: Any
) -> None:
    broken = call()
    broken.action = None  # type: ignore[assignment]  # what the column refuses
    handled(broken)
    with pytest.raises(Exception, match=r"(?i)not.null"):
        await database.transact(event)
    async with database.read() as session:
        assert (await session.scalars(select(EventRow))).all() == []


async def test_a_change_that_wrote_nothing_gets_its_row_all_the_same(
    database: Database, handled: Any, clock: VirtualClock
) -> None:
    change = call()
    handled(change)
    trail = DatabaseTrail(database, clock)
    await trail.changed(change)
    await trail.changed(change)
    assert len(await rows(database)) == 1


@pytest.fixture
async def trail(database: Database, clock: VirtualClock) -> AsyncIterator[DatabaseTrail]:
    made = DatabaseTrail(database, clock)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _written(database: Database, count: int) -> list[AuditRow]:
    async with asyncio.timeout(10):
        while len(found := await rows(database)) < count:
            await settle()
    return found


async def test_equal_refusals_are_one_row_a_minute(
    database: Database, trail: DatabaseTrail, clock: VirtualClock
) -> None:
    refusal = Refusal(reason="TOKEN_INVALID", action="camera.get", client_address="192.0.2.1")
    trail.refused(refusal, request_id="first")
    (row,) = await _written(database, 1)
    assert (row.outcome, row.reason, row.count, row.request_id) == (
        "refused",
        "TOKEN_INVALID",
        1,
        "first",
    )
    for _ in range(1000):
        trail.refused(refusal, request_id="later")
    await settle()
    assert len(await rows(database)) == 1
    while not clock.sleepers:
        await settle()
    await clock.advance(EVERY_S)
    assert [row.count for row in await _written(database, 2)] == [1, 1000]


async def test_many_kinds_of_refusals_are_few_rows(database: Database, clock: VirtualClock) -> None:
    trail = DatabaseTrail(database, clock)
    for number in range(10_000):
        trail.refused(Refusal(reason="TOKEN_INVALID", client_address=str(number)), request_id="r")
    for number in range(10_000):
        trail.refused(Refusal(reason=str(number)), request_id="r")
    await trail.flush()
    found = await rows(database)
    assert len(found) <= 2 * MOST_KINDS + 1
    assert sum(row.count for row in found) == 20_000


async def test_refusals_that_could_not_be_written_are_counted_on(
    database: Database, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = DatabaseTrail(database, clock)
    refusal = Refusal(reason="TOKEN_INVALID")
    trail.refused(refusal, request_id="r")

    async def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(Database, "_commit", fail)
        await trail.flush()
    trail.refused(refusal, request_id="r")
    await trail.flush()
    assert [row.count for row in await rows(database)] == [2]


async def test_rows_go_by_age_and_refusals_also_by_number(
    database: Database, clock: VirtualClock
) -> None:
    trail = DatabaseTrail(database, clock)
    start = clock.now()
    await trail.looked(call())
    await clock.advance(3600)
    for number in range(5):
        await trail.looked(call())
        trail.refused(Refusal(reason=f"R{number}"), request_id="r")
        await trail.flush()
    await remove_audit_rows(database, before=start, refusals=3)
    reasons = [row.reason for row in await rows(database) if row.outcome == "refused"]
    assert reasons == ["R2", "R3", "R4"]
    assert len(await rows(database)) == 9
    await remove_audit_rows(database, before=start + timedelta(seconds=1), refusals=3)
    assert len(await rows(database)) == 8
