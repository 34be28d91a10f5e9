"""One look at the database for all watchers who were given the same part of the feed.

Watchers at the end of the feed are woken together with the same events. What a batch of events
makes them look up is as good for one as for the other, so the first one's look is everybody's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from control_plane.events.feed import FeedBatch
from control_plane.events.model import FeedEvent
from service_runtime.clock import Clock

T = TypeVar("T")

_MOST: Final = 32
# who comes later looks again, for what changes without an event
_FRESH_S: Final = 0.5


class SharedLooks(Generic[T]):
    """The newest looks, by what they were made for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # by the first and last event themselves: numbers may come again in another history
        self._looks: dict[tuple[FeedEvent, FeedEvent], tuple[float, asyncio.Task[T]]] = {}

    async def of(self, batch: FeedBatch, look: Callable[[FeedBatch], Awaitable[T]]) -> T:
        """Return what ``look`` finds for a batch with events, or found for the same one before.

        It is shared, so it must not be changed. What fails, fails for those who wait, and is tried
        again by the next.
        """
        key = (batch.events[0], batch.events[-1])
        now = self._clock.monotonic()
        since, found = self._looks.get(key, (now, None))
        failed = found is not None and found.done() and found.exception() is not None
        if found is None or failed or now - since > _FRESH_S:
            self._looks.pop(key, None)
            found = asyncio.create_task(self._look(batch, look))
            self._looks[key] = (now, found)
            if len(self._looks) > _MOST:
                del self._looks[next(iter(self._looks))]
        # a watcher who leaves must not end the look of the others
        return await asyncio.shield(found)

    @staticmethod
    async def _look(batch: FeedBatch, look: Callable[[FeedBatch], Awaitable[T]]) -> T:
        return await look(batch)
