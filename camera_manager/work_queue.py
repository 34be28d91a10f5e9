"""Hands out keys that need a look: each once however often it was asked for, some only later.

Level-triggered work needs no more than the key: whoever takes it reads everything anew. A key that
is added while somebody works on it comes again when that one is done, so that no change is missed
and no two work on one key. The reconciler takes the keys.
"""

import asyncio
from collections import deque

from service_runtime.clock import Clock


class WorkQueue:
    """A queue of distinct keys with delayed adds, for one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()
        self._taken: set[str] = set()
        self._timers: dict[str, tuple[float, asyncio.Task[None]]] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys wait now, those that wait for their time left out."""
        return len(self._ready)

    def add(self, key: str) -> None:
        """Ask for a look at a key now."""
        self._drop_timer(key)
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._taken:
            self._ready.append(key)
            self._arrived.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Ask for a look at a key later; the earlier of two such wishes counts."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        known = self._timers.get(key)
        if key in self._dirty or (known is not None and known[0] <= due):
            return
        self._drop_timer(key)
        timer = asyncio.create_task(self._add_later(key, seconds), name=f"look again at {key}")
        self._timers[key] = (due, timer)

    async def take(self) -> str:
        """Wait for a key; it must be given back with ``done``."""
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._taken.add(key)
        return key

    def done(self, key: str) -> None:
        """Give a key back."""
        self._taken.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._arrived.set()

    def close(self) -> None:
        """Drop all delayed adds."""
        for key in list(self._timers):
            self._drop_timer(key)

    async def _add_later(self, key: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        del self._timers[key]
        self.add(key)

    def _drop_timer(self, key: str) -> None:
        known = self._timers.pop(key, None)
        if known is not None:
            known[1].cancel()
