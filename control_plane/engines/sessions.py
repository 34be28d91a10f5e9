"""Sessions whose every step runs to its end, also when the caller has gone.

Callers leave at any moment. SQLite keeps the locks of a connection that is closed in the middle of
a statement until the statement is forgotten, and everybody would wait for that. On PostgreSQL a
commit that was cut off might have happened or not, and nobody would know.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")


async def to_its_end(step: Awaitable[T]) -> T:
    """Let a step finish although the caller was cancelled; the cancellation comes after it."""
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told that it was not
        raise cancelled
    return task.result()


class FinishingSession(AsyncSession):
    """A session whose every step runs to its end."""


def _finishing(step: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    @functools.wraps(step)
    async def finish(*args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - whatever the step takes
        return await to_its_end(step(*args, **kwargs))

    return finish


for _name in (
    "commit", "close", "connection", "delete", "execute", "flush", "get", "get_one", "invalidate",
    "merge", "refresh", "rollback", "run_sync", "scalar", "scalars",
):  # fmt: skip
    setattr(FinishingSession, _name, _finishing(getattr(AsyncSession, _name)))
