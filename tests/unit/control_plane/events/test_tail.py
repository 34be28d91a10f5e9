"""What memory holds of the feed is what the database would answer, and is read once for all."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from control_plane.database import Database
from control_plane.events.compaction import compact
from control_plane.events.feed import ChangeFeed, FeedBatch
from control_plane.events.model import FeedEvent
from control_plane.events.tables import FeedRow
from control_plane.events.tail import FeedTail, pace_s
from control_plane.people.tables import PersonRow
from service_runtime.errors import OutOfRange
from service_runtime.identifiers import new_id
from service_runtime.resume_tokens import ResumeToken
from tests.support.virtual_clock import VirtualClock


async def append(database: Database, count: int = 1) -> None:
    async with database.write() as tx:
        for _ in range(count):
            await tx.append_event("test.event", payload={})


async def head(database: Database, feed: ChangeFeed) -> ResumeToken:
    async with database.read() as session:
        return await feed.head(session)


async def person(database: Database, name: str) -> str:
    person_id = new_id()
    async with database.write() as tx:
        row = PersonRow(
            id=person_id,
            name=name,
            name_key=name.casefold(),
            sort_key=name.casefold(),
            notes="",
            labels=[],
            created_at=tx.now,
            updated_at=tx.now,
        )
        tx.session.add(row)
        await tx.append_event("person.created", person_id=person_id, payload={"person": {}})
    return person_id


async def sighting(database: Database, of: str | None, *candidates: str) -> None:
    evidence = {"candidates": [{"person_id": one} for one in candidates]}
    async with database.write() as tx:
        await tx.append_event(
            "sighting.created",
            person_id=of,
            payload={"sighting": {"person_id": of or "", "evidence": evidence}},
        )


async def read(batches: AsyncGenerator[FeedBatch], count: int) -> list[FeedEvent]:
    events: list[FeedEvent] = []
    while len(events) < count:
        events += (await anext(batches)).events
    return events


async def advance_until(clock: VirtualClock, task: "asyncio.Future[Any]") -> None:
    while not task.done():
        await clock.advance(1)


@contextlib.asynccontextmanager
async def kept_alive(database: Database, feed: ChangeFeed) -> AsyncIterator[Any]:
    """Have somebody follow, so that the feed stays in memory."""
    start = await head(database, feed)
    async with contextlib.aclosing(feed.subscribe(start)) as batches:
        yield batches


async def test_many_followers_cost_one_reader(
    database: Database, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = ChangeFeed(database, clock)
    start = await head(database, feed)
    reads = 0
    real = database.read

    def counting() -> Any:
        nonlocal reads
        reads += 1
        return real()

    followers = [feed.subscribe(start) for _ in range(50)]
    await append(database)
    await asyncio.gather(*(read(one, 1) for one in followers))
    monkeypatch.setattr(database, "read", counting)
    for _ in range(20):
        await append(database)
        await asyncio.gather(*(read(one, 1) for one in followers))
    # two for a commit at most: one that began before it, one after
    assert reads <= 40
    for one in followers:
        await one.aclose()


async def test_what_is_committed_while_many_are_told_is_told_together(
    database: Database, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered = asyncio.Event()
    monkeypatch.setattr(FeedTail, "_gather", lambda *_: gathered.wait())
    feed = ChangeFeed(database, clock)
    async with kept_alive(database, feed) as watching:
        await append(database)
        assert len(await read(watching, 1)) == 1
        await append(database)
        await append(database, 2)
        gathered.set()
        assert len((await anext(watching)).events) == 3


def test_few_are_told_of_every_commit_and_many_often_enough() -> None:
    assert pace_s(1) == pace_s(10) == 0
    assert pace_s(60) == 0.02
    assert pace_s(200) == pace_s(100_000) == 0.065


async def test_events_of_an_erased_person_are_empty_in_memory_too(
    database: Database, clock: VirtualClock
) -> None:
    feed = ChangeFeed(database, clock)
    start = await head(database, feed)
    async with kept_alive(database, feed) as watching:
        async with database.write() as tx:
            await tx.append_event(
                "person.created", person_id="ada", payload={"person": {"name": "Ada"}}
            )
        assert (await read(watching, 1))[0].payload == {"person": {"name": "Ada"}}
        async with database.write() as tx:
            await tx.forget_person("ada")
            await tx.append_event("person.erased", person_id="ada", payload={})
        # at once: whoever comes after the erasure must not be shown the name
        async with contextlib.aclosing(feed.subscribe(start)) as late:
            assert [event.payload for event in await read(late, 2)] == [{}, {}]
        # and from memory, by whoever has seen that it happened
        await read(watching, 1)
        async with contextlib.aclosing(feed.subscribe(start)) as late:
            assert [event.payload for event in await read(late, 2)] == [{}, {}]


async def test_names_in_memory_are_those_of_now(database: Database, clock: VirtualClock) -> None:
    feed = ChangeFeed(database, clock)
    start = await head(database, feed)
    async with kept_alive(database, feed) as watching:
        ada, bob = await person(database, "Ada"), await person(database, "Bob")
        await sighting(database, ada, ada, bob)
        assert (await read(watching, 3))[2].names == {ada: "Ada", bob: "Bob"}
        async with database.write() as tx:
            await tx.session.execute(
                update(PersonRow).where(PersonRow.id == bob).values(name="Robert")
            )
            await tx.append_event("person.updated", person_id=bob, payload={})
        await read(watching, 1)
        async with contextlib.aclosing(feed.subscribe(start)) as late:
            assert (await read(late, 4))[2].names == {ada: "Ada", bob: "Robert"}


async def test_who_is_behind_what_is_kept_misses_nothing(
    database: Database, clock: VirtualClock
) -> None:
    feed = ChangeFeed(database, clock, most_kept=10)
    start = await head(database, feed)
    async with kept_alive(database, feed) as watching:
        await append(database, 3)
        await read(watching, 3)
        async with contextlib.aclosing(feed.subscribe(start)) as slow:
            seen = await read(slow, 1)
            for _ in range(5):
                await append(database, 50)
                await read(watching, 50)
            seen += await read(slow, 253 - len(seen))
    assert [event.sequence for event in seen] == list(range(1, 254))


async def test_what_is_compacted_is_not_served_from_memory(
    database: Database, clock: VirtualClock
) -> None:
    feed = ChangeFeed(database, clock)
    start = await head(database, feed)
    async with kept_alive(database, feed) as watching:
        await append(database, 10)
        await read(watching, 10)
        async with contextlib.aclosing(feed.subscribe(start)) as slow:
            assert await compact(database, older_than=timedelta(days=365), keep=4) == 6
            with pytest.raises(OutOfRange) as expired:
                await anext(slow)
    assert expired.value.reason == "RESUME_TOKEN_EXPIRED"


async def test_another_history_ends_who_follows(database: Database, clock: VirtualClock) -> None:
    feed = ChangeFeed(database, clock)
    async with kept_alive(database, feed) as watching:
        await append(database)
        await read(watching, 1)
        coming = asyncio.ensure_future(anext(watching))
        async with database.write() as tx:  # as a restore does; nothing tells of it
            await tx.session.execute(update(FeedRow).values(feed_id=new_id()))
        await advance_until(clock, coming)
        assert isinstance(coming.exception(), OutOfRange)


async def test_a_defect_of_the_reader_reaches_who_follows(
    database: Database, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = ChangeFeed(database, clock)
    async with kept_alive(database, feed) as watching:
        await append(database)
        await read(watching, 1)

        async def broken(*_: object) -> None:
            raise ValueError("nobody foresaw this")

        with monkeypatch.context() as patched:
            patched.setattr("control_plane.events.tail.standing", broken)
            with pytest.raises(RuntimeError, match="cannot be read"):
                for _ in range(3):  # a look that began before may still find the first
                    await append(database)
                    await anext(watching)
        # whoever comes next finds it working again
        async with kept_alive(database, feed) as again:
            await append(database)
            await read(again, 1)
