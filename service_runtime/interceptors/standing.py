"""Ends streams whose token has stopped to hold: it expired, or was revoked, after they began.

One task looks at all open streams every second. A stream that waits in its handler is woken by a
cancellation that becomes UNAUTHENTICATED; one whose client reads slowly ends before its next
message. Workers' streams outlive their token's time, as the worker does, which gets a new token
only with a new epoch; they end when it is revoked or replaced.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final

from dfip.options.v1 import policy_pb2
from service_runtime.authentication import Caller, TokenVerifier
from service_runtime.errors import Unauthenticated

EVERY_S: Final = 1.0


class HeldStream:
    """A stream while it is open."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._task = asyncio.current_task()
        self._in_handler = False
        self._end: Unauthenticated | None = None

    def end(self, error: Unauthenticated) -> None:
        """Have the stream end with this error as soon as it can."""
        if self._end is not None:
            return
        self._end = error
        if self._in_handler and self._task is not None:
            self._task.cancel()

    async def guard(self, responses: AsyncIterator[Any]) -> AsyncGenerator[Any]:
        """Pass on what a handler yields, until the token stops to hold."""
        while True:
            if self._end is not None:
                raise self._end
            self._in_handler = True
            try:
                response = await anext(responses)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                if self._end is None or self._task is None or self._task.uncancel():
                    raise  # the client left, or the server stops
                raise self._end from None
            finally:
                self._in_handler = False
            yield response


class StandingWatch:
    """Looks after the open streams of a server; ``run`` is its task."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self._streams: set[HeldStream] = set()
        self._some = asyncio.Event()

    @contextlib.contextmanager
    def hold(self, caller: Caller) -> Iterator[HeldStream]:
        """Look after the stream that this task runs."""
        stream = HeldStream(caller)
        self._streams.add(stream)
        self._some.set()
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    async def run(self) -> None:
        """Look every second, while there are streams."""
        while True:
            await self._some.wait()
            # the loop's own time: how often we look decides nothing, the verifier's clock does
            await asyncio.sleep(EVERY_S)
            self.look()
            if not self._streams:
                self._some.clear()

    def look(self) -> None:
        """End the streams whose token holds no more."""
        for stream in tuple(self._streams):
            is_worker = stream.caller.role == policy_pb2.ROLE_WORKER
            try:
                self._verifier.require_standing(stream.caller, outlives_time=is_worker)
            except Unauthenticated as error:
                stream.end(error)
