"""Following the feed: in order, without a gap, bounded, and honest about what is gone."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from control_plane.database import Database
from control_plane.events.compaction import compact
from control_plane.events.feed import BATCH, ChangeFeed, FeedBatch
from service_runtime.errors import OutOfRange, ResourceExhausted, Unavailable
from service_runtime.resume_tokens import ResumeToken
from tests.support.virtual_clock import VirtualClock

LONG_AGO = timedelta(days=365)


@pytest.fixture
def feed(database: Database, clock: VirtualClock) -> ChangeFeed:
    return ChangeFeed(database, clock)


async def append(database: Database, count: int = 1) -> None:
    async with database.write() as tx:
        for _ in range(count):
            await tx.append_event("test.event", payload={})


async def head(database: Database, feed: ChangeFeed) -> ResumeToken:
    async with database.read() as session:
        return await feed.head(session)


def sequences(*batches: FeedBatch) -> list[int]:
    return [event.sequence for batch in batches for event in batch.events]


async def test_begins_now_and_is_woken(database: Database, feed: ChangeFeed) -> None:
    await append(database, 3)
    async with contextlib.aclosing(feed.subscribe()) as batches:
        coming = asyncio.ensure_future(anext(batches))
        while not coming.done():
            # the subscriber reads its starting point at a time of its own
            await append(database)
            await asyncio.wait({coming}, timeout=0)
        assert min(sequences(coming.result())) > 3


async def test_resumes_after_the_last_event_seen(database: Database, feed: ChangeFeed) -> None:
    start = await head(database, feed)
    await append(database, 3)
    async with contextlib.aclosing(feed.subscribe(start)) as batches:
        first = await anext(batches)
    assert sequences(first) == [1, 2, 3]
    await append(database, 2)
    async with contextlib.aclosing(feed.subscribe(first.resume_token)) as batches:
        assert sequences(await anext(batches)) == [4, 5]


async def test_a_long_absence_comes_in_parts(database: Database, feed: ChangeFeed) -> None:
    start = await head(database, feed)
    await append(database, BATCH + 10)
    async with contextlib.aclosing(feed.subscribe(start)) as batches:
        first, second = await anext(batches), await anext(batches)
    assert len(first.events) == BATCH
    assert sequences(first, second) == list(range(1, BATCH + 11))


async def test_concurrent_writers_and_watchers_miss_nothing(
    database: Database, feed: ChangeFeed
) -> None:
    start = await head(database, feed)

    async def watch() -> list[int]:
        seen: list[int] = []
        async with contextlib.aclosing(feed.subscribe(start)) as batches:
            async for batch in batches:
                seen += sequences(batch)
                if len(seen) >= 30:
                    break
        return seen

    watchers = [asyncio.create_task(watch()) for _ in range(3)]
    await asyncio.gather(*(append(database) for _ in range(30)))
    assert await asyncio.gather(*watchers) == [list(range(1, 31))] * 3


async def test_a_token_of_another_history_has_expired(database: Database, feed: ChangeFeed) -> None:
    await append(database, 3)
    for token in (
        ResumeToken(feed_id="another", sequence=1),
        # of a history that was restored from a backup, say
        ResumeToken(feed_id=(await head(database, feed)).feed_id, sequence=99),
    ):
        async with contextlib.aclosing(feed.subscribe(token)) as batches:
            with pytest.raises(OutOfRange) as expired:
                await anext(batches)
        assert expired.value.reason == "RESUME_TOKEN_EXPIRED"


async def test_a_token_before_what_is_kept_has_expired(
    database: Database, feed: ChangeFeed
) -> None:
    start = await head(database, feed)
    await append(database, 10)
    assert await compact(database, older_than=LONG_AGO, keep=4) == 6
    async with contextlib.aclosing(feed.subscribe(start)) as batches:
        with pytest.raises(OutOfRange):
            await anext(batches)
    kept = ResumeToken(feed_id=start.feed_id, sequence=6)
    async with contextlib.aclosing(feed.subscribe(kept)) as batches:
        assert sequences(await anext(batches)) == [7, 8, 9, 10]


async def test_numbers_go_on_after_everything_was_compacted(
    database: Database, feed: ChangeFeed, clock: VirtualClock
) -> None:
    await append(database, 5)
    await clock.advance(3600)
    assert await compact(database, older_than=timedelta(minutes=1), keep=100) == 5
    token = await head(database, feed)
    assert token.sequence == 5
    await append(database)
    async with contextlib.aclosing(feed.subscribe(token)) as batches:
        assert sequences(await anext(batches)) == [6]


async def test_compaction_takes_the_old_and_leaves_the_young(
    database: Database, clock: VirtualClock
) -> None:
    await append(database, 5)
    await clock.advance(3600)
    await append(database, 5)
    assert await compact(database, older_than=timedelta(minutes=30), keep=100) == 5
    assert await compact(database, older_than=timedelta(minutes=30), keep=100) == 0


async def test_a_slow_consumer_is_told_so(database: Database, clock: VirtualClock) -> None:
    feed = ChangeFeed(database, clock, longest_lag=5)
    start = await head(database, feed)
    # a long absence is no reason: only who had caught up can fall behind
    await append(database, 20)
    async with contextlib.aclosing(feed.subscribe(start, tick_s=1)) as batches:
        assert len(sequences(await anext(batches))) == 20
        tick = asyncio.ensure_future(anext(batches))
        while not tick.done():
            await clock.advance(1)
        await append(database, 6)
        with pytest.raises(ResourceExhausted) as slow:
            while not (await anext(batches)).events:
                pass  # ticks that were due before
    assert slow.value.reason == "SLOW_CONSUMER"


async def test_ticks_while_nothing_happens(
    database: Database, feed: ChangeFeed, clock: VirtualClock
) -> None:
    await append(database, 2)
    async with contextlib.aclosing(feed.subscribe(tick_s=10)) as batches:
        for _ in range(2):
            coming = asyncio.ensure_future(anext(batches))
            while not coming.done():
                await clock.advance(10)
            assert coming.result().events == ()
            assert coming.result().resume_token.sequence == 2


async def test_closing_ends_every_subscription(feed: ChangeFeed) -> None:
    async with contextlib.aclosing(feed.subscribe()) as batches:
        coming = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        feed.close()
        with pytest.raises(Unavailable):
            await coming
