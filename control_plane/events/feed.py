"""Following the change feed: from a resume token or from now, in order, without a gap.

A subscriber holds a position and nothing else. Each pull reads the next events from the database by
sequence number; the broadcast after a commit only says that a look is worth while. So nothing is
ever buffered for a slow subscriber, and a restart loses nothing. A subscriber that had caught up
and then falls too far behind is told so and dropped; one whose position was compacted away is told
to start afresh.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database
from control_plane.events.tables import EventRow, FeedRow
from service_runtime.clock import Clock
from service_runtime.errors import OutOfRange, ResourceExhausted, Unavailable
from service_runtime.resume_tokens import ResumeToken

BATCH: Final = 100  # what a subscriber that has stopped reading makes us hold
LONGEST_LAG: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBatch:
    """The next events, oldest first, and the token of the last of them.

    A batch without events is a tick: it tells that time passes, and where the feed stands.
    """

    events: tuple[EventRow, ...]
    resume_token: ResumeToken


class ChangeFeed:
    """The change feed of one database. ``close`` ends every subscription."""

    def __init__(self, database: Database, clock: Clock, longest_lag: int = LONGEST_LAG) -> None:
        self._database = database
        self._clock = clock
        self._longest_lag = longest_lag
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End every subscription with UNAVAILABLE, so that clients come back to the next run."""
        self._closed.set()
        self._database.committed.notify()

    async def head(self, session: AsyncSession) -> ResumeToken:
        """Return the newest position, as this read transaction sees it.

        A snapshot read in the same transaction, followed from this token, misses nothing.
        """
        feed = await _feed_row(session)
        return ResumeToken(feed_id=feed.feed_id, sequence=await _head_sequence(session, feed))

    async def require_kept(self, session: AsyncSession, position: ResumeToken) -> int:
        """Return the newest sequence number, where everything after ``position`` is kept.

        A watch asks before it says anything to a watcher that comes back.

        Raises:
            OutOfRange: ``RESUME_TOKEN_EXPIRED``.
        """
        feed = await _feed_row(session)
        head = await _head_sequence(session, feed)
        known = feed.compacted_through <= position.sequence <= head
        if position.feed_id != feed.feed_id or not known:
            raise OutOfRange(
                "RESUME_TOKEN_EXPIRED",
                "What follows this resume token is not kept any more; start without one.",
            )
        return head

    async def subscribe(
        self, after: ResumeToken | None = None, *, tick_s: float | None = None
    ) -> AsyncGenerator[FeedBatch]:
        """Yield batches of events after ``after``, or from now on. Close the generator after use.

        Args:
            after: Position of the last event seen.
            tick_s: Yield an empty batch each time this many seconds have passed.

        Raises:
            OutOfRange: ``RESUME_TOKEN_EXPIRED``: the token is of another history, or what follows
                it is not kept any more. Start again from a snapshot.
            ResourceExhausted: ``SLOW_CONSUMER``: the subscriber fell too far behind.
            Unavailable: ``SERVICE_STOPPING``: the service stops.
        """
        position = after
        if position is None:
            async with self._database.read() as session:
                position = await self.head(session)
        caught_up = False
        with _Ticker(self._clock, tick_s) as ticker:
            while True:
                committed = self._database.committed.next()
                if self._closed.is_set():
                    raise Unavailable("SERVICE_STOPPING", "The service restarts; connect again.")
                events, head = await self._pull(position)
                if caught_up and head - position.sequence > self._longest_lag:
                    raise ResourceExhausted(
                        "SLOW_CONSUMER", "You read more slowly than events happen; start again."
                    )
                if events:
                    position = ResumeToken(feed_id=position.feed_id, sequence=events[-1].sequence)
                    yield FeedBatch(events=events, resume_token=position)
                if ticker.is_due():
                    yield FeedBatch(events=(), resume_token=position)
                elif position.sequence >= head:
                    caught_up = True
                    await ticker.wait_for(committed)

    async def _pull(self, position: ResumeToken) -> tuple[tuple[EventRow, ...], int]:
        async with self._database.read() as session:
            head = await self.require_kept(session, position)
            rows = await session.scalars(
                select(EventRow)
                .where(EventRow.sequence > position.sequence)
                .order_by(EventRow.sequence)
                .limit(BATCH)
            )
            return tuple(rows), head


class _Ticker:
    """Wakes a subscriber every so often, or never."""

    def __init__(self, clock: Clock, tick_s: float | None) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._sleep: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._sleep is not None:
            self._sleep.cancel()

    def is_due(self) -> bool:
        """Tell whether a tick has come since the last time that this was true."""
        if self._sleep is None or not self._sleep.done():
            return False
        self._start()
        return True

    async def wait_for(self, event: asyncio.Event) -> None:
        """Wait for the event or the next tick."""
        if self._sleep is None:
            await event.wait()
            return
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({waiting, self._sleep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    def _start(self) -> None:
        if self._tick_s is not None:
            self._sleep = asyncio.create_task(self._clock.sleep(self._tick_s))


async def _feed_row(session: AsyncSession) -> FeedRow:
    return (await session.scalars(select(FeedRow))).one()


async def _head_sequence(session: AsyncSession, feed: FeedRow) -> int:
    newest = await session.scalar(select(func.max(EventRow.sequence)))
    return max(newest or 0, feed.compacted_through)
