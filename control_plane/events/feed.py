"""Following the change feed: from a resume token or from now, in order, without a gap.

A subscriber holds a position and nothing else. It takes what follows from the part of the feed that
one reader keeps in memory for all (``tail.py``), and from the database where it is behind that. So
nothing is ever buffered for a slow subscriber, and a restart loses nothing. A subscriber that had
caught up and then falls too far behind is told so and dropped; one whose position was compacted
away is told to start afresh.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database
from control_plane.events.model import FeedEvent
from control_plane.events.reading import Standing, StandingLooks, events_after, standing
from control_plane.events.tail import MOST_EVENTS, FeedTail, Kept
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

    events: tuple[FeedEvent, ...]
    resume_token: ResumeToken


class ChangeFeed:
    """The change feed of one database. ``close`` ends every subscription.

    Args:
        database: Whose feed.
        clock: Paces ticks.
        longest_lag: How many events behind a subscriber may fall that had caught up.
        most_kept: How many events are kept in memory for all subscribers.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        longest_lag: int = LONGEST_LAG,
        most_kept: int = MOST_EVENTS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._longest_lag = longest_lag
        self._tail = FeedTail(database, clock, most_kept)
        self._looks = StandingLooks(database)
        self._closed = False

    def close(self) -> None:
        """End every subscription with UNAVAILABLE, so that clients come back to the next run."""
        self._closed = True
        self._tail.wake()

    async def head(self, session: AsyncSession) -> ResumeToken:
        """Return the newest position, as this read transaction sees it.

        A snapshot read in the same transaction, followed from this token, misses nothing.
        """
        return (await standing(session)).end

    async def require_kept(self, session: AsyncSession, position: ResumeToken) -> int:
        """Return the newest sequence number, where everything after ``position`` is kept.

        A watch asks before it says anything to a watcher that comes back.

        Raises:
            OutOfRange: ``RESUME_TOKEN_EXPIRED``.
        """
        return _require_kept(await standing(session), position)

    async def place(self, after: ResumeToken | None) -> ResumeToken:
        """Return the place from which a watcher follows: after what it saw last, or from now on.

        Raises:
            OutOfRange: ``RESUME_TOKEN_EXPIRED``.
        """
        now = await self._looks.now()
        if after is not None:
            _require_kept(now, after)
        return after or now.end

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
        now = await self._looks.now()
        position = after or now.end
        # nothing older than this moment may be taken from memory: of an erased person, say
        as_of = _require_kept(now, position)
        caught_up = False
        async with self._tail.following() as woken:
            await self._tail.first_look()
            with _Ticker(self._clock, tick_s, woken) as ticker:
                while True:
                    woken.clear()
                    if self._closed:
                        raise Unavailable(
                            "SERVICE_STOPPING", "The service restarts; connect again."
                        )
                    kept = self._tail.after(position, limit=BATCH, at_least=as_of)
                    if kept is None:
                        kept = await self._pull(position)
                    if caught_up and kept.head - position.sequence > self._longest_lag:
                        raise ResourceExhausted(
                            "SLOW_CONSUMER",
                            "You read more slowly than events happen; start again.",
                        )
                    if kept.events:
                        position = kept.events[-1].token
                        yield FeedBatch(events=kept.events, resume_token=position)
                    if ticker.is_due():
                        yield FeedBatch(events=(), resume_token=position)
                    elif position.sequence >= kept.read_to:
                        caught_up = caught_up or position.sequence >= kept.head
                        await woken.wait()

    async def _pull(self, position: ResumeToken) -> Kept:
        async with self._database.read() as session:
            head = await self.require_kept(session, position)
            found = await events_after(session, position, BATCH)
        return Kept(events=found.events, read_to=head, head=head)


def _require_kept(now: Standing, position: ResumeToken) -> int:
    """Return the newest sequence number, where everything after ``position`` is kept."""
    if not now.keeps_what_follows(position):
        raise OutOfRange(
            "RESUME_TOKEN_EXPIRED",
            "What follows this resume token is not kept any more; start without one.",
        )
    return now.head


class _Ticker:
    """Wakes a subscriber every so often, or never."""

    def __init__(self, clock: Clock, tick_s: float | None, woken: asyncio.Event) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._woken = woken
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

    def _start(self) -> None:
        if self._tick_s is not None:
            self._sleep = asyncio.create_task(self._clock.sleep(self._tick_s))
            self._sleep.add_done_callback(lambda _: self._woken.set())
