"""The hand-over of frames from a decoding thread to asyncio: bounded, and the newest frame wins.

Whoever is slow misses frames instead of falling behind, and every frame that a newer one pushed out
is counted. The reading side awaits; nobody polls.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from vision_worker.decode.frame import Frame
from vision_worker.sources.failure import SourceFailure

MOST_WAITING: Final = 64
"""Frames that may wait at most, however long the bursts."""


class FrameSink(Protocol):
    """Where a reader puts frames: the queue itself, or what stands before it."""

    @property
    def dropped(self) -> int:
        """Return how many frames newer ones pushed out."""
        ...

    def put(self, frame: Frame) -> None:
        """Hand a frame over."""
        ...

    def finish(self, failure: SourceFailure | None = None) -> None:
        """Say that no frame follows, and why if that is a failure."""
        ...


class NewestFrames(AsyncIterator[Frame]):
    """A queue with one writing thread and one reading task of the given loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, capacity: int = 2) -> None:
        self._loop = loop
        self._capacity = capacity
        self._lock = threading.Lock()
        self._frames: deque[Frame] = deque()
        self._over = False
        self._failure: SourceFailure | None = None
        self._news = asyncio.Event()
        self.dropped = 0

    def make_room(self, frames: int) -> None:
        """Let as many frames wait, where they come in bursts; from the writing thread."""
        with self._lock:
            self._capacity = max(self._capacity, min(frames, MOST_WAITING))

    def put(self, frame: Frame) -> None:
        """Hand a frame over; from the writing thread."""
        with self._lock:
            if len(self._frames) >= self._capacity:
                lost = self._frames.popleft()
                self.dropped += 1
                if lost.cut:  # the cut lies before whatever is read next
                    if self._frames:
                        self._frames[0] = replace(self._frames[0], cut=True)
                    else:
                        frame = replace(frame, cut=True)
            self._frames.append(frame)
        self._wake()

    def finish(self, failure: SourceFailure | None = None) -> None:
        """Say that no frame follows, and why if that is a failure; from the writing thread."""
        with self._lock:
            self._over = True
            self._failure = failure
        self._wake()

    async def __anext__(self) -> Frame:
        """Return the next frame.

        Raises:
            SourceFailure: the source failed; frames handed over before come first.
        """
        while True:
            with self._lock:
                self._news.clear()
                if self._frames:
                    return self._frames.popleft()
                if self._over and self._failure is not None:
                    raise self._failure
                if self._over:
                    raise StopAsyncIteration
            await self._news.wait()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._news.set)
