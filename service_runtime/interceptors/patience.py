"""How long a call may take: an answer, and the first message of a stream.

A caller that asks for no deadline gets one; one that opens a stream and says nothing is sent away.
How long a stream may go on is for `standing` to say.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from service_runtime.clock import Clock
from service_runtime.errors import DeadlineExceeded

ANSWER_S: Final = 60.0
FIRST_MESSAGE_S: Final = 5.0


class Patience:
    """Ends what goes on for too long; one for each server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @asynccontextmanager
    async def for_an_answer(self) -> AsyncIterator[None]:
        """End the block when the answer takes longer than anybody would wait for it.

        Raises:
            DeadlineExceeded: It did.
        """
        try:
            async with asyncio.timeout(ANSWER_S) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise  # what was run has limits of its own
            raise DeadlineExceeded(
                "ANSWER_LATE", "The answer took too long and was given up; try again."
            ) from None

    async def with_a_first_message(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Pass messages on; the first has to come soon.

        Raises:
            DeadlineExceeded: It did not.
        """
        timer = asyncio.ensure_future(self._clock.sleep(FIRST_MESSAGE_S))
        coming = asyncio.ensure_future(anext(requests, None))
        try:
            await asyncio.wait((timer, coming), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                raise DeadlineExceeded(
                    "FIRST_MESSAGE_LATE",
                    f"A stream's first message must come within {FIRST_MESSAGE_S:g} s.",
                )
            first = coming.result()
        finally:
            timer.cancel()
            coming.cancel()
        if first is None:
            return
        yield first
        async for request in requests:
            yield request
