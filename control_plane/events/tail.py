"""The newest part of the feed in memory, read once for all who follow it in this process.

While anybody follows, one task reads what was committed and keeps a bounded number of events. A
follower who is at the end of the feed, as nearly all are, takes them from here and asks the
database nothing; one who is behind what is kept reads the database until it is not.

What is kept here is what the database would answer now: people's names are filled in and erased
events emptied again as soon as an event tells of it, in the same step that shows that event; what
was compacted goes. Commits of this process and, on PostgreSQL, the notices of others say when to
look; as a notice is only a hint, it looks every few seconds anyway.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable
from control_plane.events.model import FeedEvent
from control_plane.events.reading import Found, Standing, events_after, events_again, standing
from service_runtime.clock import Clock, wait_at_most
from service_runtime.resume_tokens import ResumeToken
from service_runtime.structured_logging import get_logger

MOST_EVENTS: Final = 4_000
_MOST_BYTES: Final = 8 << 20
# what it begins with, so that many who come back after a restart find their events here
_OF_THE_PAST: Final = 1_000
_PAGE: Final = 500
_POLL_S: Final = 5.0
_AGAIN_S: Final = 1.0
# many followers are woken so often a second in all, a few at a time; what is committed meanwhile is
# told together. Few are woken for every commit.
_FEW: Final = 10
_WAKES_PER_S: Final = 3_000
_LONGEST_PACE_S: Final = 0.065
_TOLD_AT_ONCE: Final = 10
# after these, other events may read differently
_OF_PEOPLE: Final = "person."

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What follows a position: the next events, how far is read, and how far the feed goes."""

    events: tuple[FeedEvent, ...]
    read_to: int
    head: int


class FeedTail:
    """The newest events of one database's feed; it reads while somebody follows."""

    def __init__(self, database: Database, clock: Clock, most_events: int = MOST_EVENTS) -> None:
        self._database = database
        self._clock = clock
        self._most_events = most_events
        # in the order in which they came
        self._followers: dict[asyncio.Event, None] = {}
        self._has_news = False
        self._reading: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._forget()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[asyncio.Event]:
        """Keep reading while the block runs. The event is set whenever there is something new."""
        woken = asyncio.Event()
        self._followers[woken] = None
        if self._reading is None or self._reading.done():
            self._forget()
            self._looked = asyncio.Event()
            self._reading = asyncio.create_task(self._read())
            # followers are told what ended it, if there are any
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            yield woken
        finally:
            del self._followers[woken]
            if not self._followers:
                reading, self._reading = self._reading, None
                reading.cancel()
                await asyncio.wait({reading})

    async def first_look(self) -> None:
        """Wait until the reader has looked once, so that who comes with many need not."""
        await self._looked.wait()

    def wake(self) -> None:
        """Have every follower look up."""
        for woken in self._followers:
            woken.set()

    def after(self, position: ResumeToken, *, limit: int, at_least: int) -> Kept | None:
        """Return the next events after a position, or None where the database has to be asked.

        Args:
            position: The last event seen.
            limit: At most so many events.
            at_least: How new the answer must be, as a sequence number.

        Raises:
            RuntimeError: The reader failed of a defect; it is tried again for who comes next.
        """
        if self._reading is not None and self._reading.done() and not self._reading.cancelled():
            raise RuntimeError("the feed cannot be read") from self._reading.exception()
        if (
            self._standing is None
            or position.feed_id != self._standing.feed_id
            or position.sequence < self._gone_through
            or self._read_to < max(position.sequence, at_least)
        ):
            return None
        start = bisect_right(self._events, position.sequence, key=_sequence)
        return Kept(
            events=tuple(self._events[start : start + limit]),
            read_to=self._read_to,
            head=self._standing.head,
        )

    def _forget(self) -> None:
        self._standing: Standing | None = None
        self._events: list[FeedEvent] = []
        self._sizes: list[int] = []
        # every event after the first and up to the second number is here
        self._gone_through = 0
        self._read_to = 0

    async def _read(self) -> None:
        try:
            while True:
                committed = self._database.committed.next()
                began_s = time.monotonic()
                try:
                    more = await self._look()
                except (DatabaseUnavailable, DatabaseBusy) as error:
                    # followers stay: what is committed meanwhile, by whomever, is found after it
                    _log.warning("feed.waits_for_the_database", reason=error.reason)
                    await wait_at_most(self._clock, committed, _AGAIN_S)
                else:
                    await self._tell()
                    if not more:
                        await self._gather(began_s)
                        await wait_at_most(self._clock, committed, _POLL_S)
        finally:
            self.wake()

    async def _tell(self) -> None:
        """Wake followers, a few at a time, so that those who then ask the database get answers."""
        if not self._has_news:
            return
        self._has_news = False
        for number, woken in enumerate(tuple(self._followers), start=1):
            woken.set()
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _gather(self, since_s: float) -> None:
        took_s = time.monotonic() - since_s
        await asyncio.sleep(max(0.0, pace_s(len(self._followers)) - took_s))

    async def _look(self) -> bool:
        """Read the next page, and return whether there is another one."""
        try:
            return await self._read_page()
        finally:
            self._looked.set()

    async def _read_page(self) -> bool:
        async with self._database.read() as session:
            now = await standing(session)
            begins = self._begins_anew(now)
            after = now.compacted_through if begins else self._read_to
            after = max(after, now.head - _OF_THE_PAST) if begins else after
            position = ResumeToken(feed_id=now.feed_id, sequence=after)
            found = await events_after(session, position, _PAGE)
            again = None if begins else await self._changed(session, found)
        # from here on nobody else runs, so followers see all of this or nothing
        if begins:
            self._forget()
            self._gone_through = self._read_to = after
        known = self._standing is not None and self._standing == now
        self._standing = now
        if again is not None:
            self._replace(*again)
        self._events += found.events
        self._sizes += found.sizes
        more = len(found.events) == _PAGE
        self._read_to = found.events[-1].sequence if more else max(now.head, self._read_to)
        self._trim(now.compacted_through)
        self._has_news = self._has_news or bool(found.events) or not known
        return more

    def _begins_anew(self, now: Standing) -> bool:
        """Tell whether what is here is of another history, or nothing is here yet."""
        known = self._standing
        return known is None or known.feed_id != now.feed_id or now.head < self._read_to

    async def _changed(
        self, session: AsyncSession, found: Found
    ) -> tuple[frozenset[int], Found] | None:
        """Read again what new events of people change about older ones."""
        people = {
            event.person_id
            for event in found.events
            if event.person_id and event.type.startswith(_OF_PEOPLE)
        }
        if not people:
            return None
        touched = frozenset(
            event.sequence
            for event in self._events
            if event.person_id in people or not people.isdisjoint(event.names)
        )
        if not touched:
            return None
        feed_id = self._events[0].token.feed_id
        return touched, await events_again(session, feed_id, touched)

    def _replace(self, touched: frozenset[int], found: Found) -> None:
        fresh = {event.sequence: event for event in found.events}
        self._events = [
            fresh.get(event.sequence, event) if event.sequence in touched else event
            for event in self._events
        ]
        gone = touched - set(fresh)
        if gone:
            # removed since: whoever needs it asks the database, which says so
            self._drop(bisect_right(self._events, max(gone), key=_sequence))

    def _trim(self, compacted_through: int) -> None:
        """Keep to the bounds, and to what the database still has."""
        count = max(
            bisect_right(self._events, compacted_through, key=_sequence),
            len(self._events) - self._most_events,
            0,
        )
        size = sum(self._sizes[count:])
        while size > _MOST_BYTES:
            size -= self._sizes[count]
            count += 1
        self._drop(count)
        self._gone_through = max(self._gone_through, compacted_through)

    def _drop(self, count: int) -> None:
        if count:
            self._gone_through = max(self._gone_through, self._events[count - 1].sequence)
            del self._events[:count]
            del self._sizes[:count]


def pace_s(followers: int) -> float:
    """Return how long what is committed is gathered before so many followers are woken, in s."""
    return 0.0 if followers <= _FEW else min(_LONGEST_PACE_S, followers / _WAKES_PER_S)


def _sequence(event: FeedEvent) -> int:
    return event.sequence
