"""Many who ask at once where the feed stands share a look, which begins after they asked."""

import asyncio

import pytest

from control_plane.database import Database
from control_plane.engines.port import DatabaseUnavailable
from control_plane.events import reading
from control_plane.events.reading import Standing, StandingLooks
from control_plane.schema import migrate


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Standing]:
    """Return what was read so far."""
    made: list[Standing] = []
    real = reading.standing

    async def noted(session: object) -> Standing:
        made.append(await real(session))  # type: ignore[arg-type]  # whatever the caller has
        return made[-1]

    monkeypatch.setattr(reading, "standing", noted)
    return made


async def change(database: Database) -> int:
    async with database.write() as tx:
        await tx.append_event("camera.created", payload={})
        return await tx.number_events()


async def test_those_who_ask_together_share_a_look(
    database: Database, looks: list[Standing]
) -> None:
    await migrate(database)
    last = await change(database)
    standing = StandingLooks(database)
    answers = await asyncio.gather(*(standing.now() for _ in range(50)))
    assert {answer.head for answer in answers} == {last}
    assert len(looks) == 1


async def test_nobody_gets_what_was_read_before_the_question(
    database: Database, looks: list[Standing]
) -> None:
    await migrate(database)
    standing = StandingLooks(database)
    for _ in range(5):
        early = asyncio.create_task(standing.now())
        for _ in range(3):  # its look may be anywhere now
            await asyncio.sleep(0)
        last = await change(database)
        assert (await standing.now()).head == last
        assert (await early).head <= last
    assert len(looks) <= 10


async def test_who_leaves_ends_nobody_elses_look(database: Database, looks: list[Standing]) -> None:
    await migrate(database)
    standing = StandingLooks(database)
    one, other = asyncio.create_task(standing.now()), asyncio.create_task(standing.now())
    await asyncio.sleep(0)
    one.cancel()
    assert (await other).head == 0
    assert len(looks) == 1


async def test_a_look_that_fails_is_told_to_all_and_made_again(database: Database) -> None:
    await migrate(database)
    standing = StandingLooks(database)
    await database.close()
    outcomes = await asyncio.gather(*(standing.now() for _ in range(3)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
    await database.open()
    assert (await standing.now()).head == 0
