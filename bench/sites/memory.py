"""How much memory a process holds while something goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psutil

_EVERY_S = 0.5


@asynccontextmanager
async def watched_memory(process: psutil.Process) -> AsyncIterator[list[float]]:
    """Note the resident memory in MiB twice a second; the list is complete after the block."""
    noted: list[float] = []

    def note() -> None:
        noted.append(round(process.memory_info().rss / 2**20, 1))

    async def watch() -> None:
        while True:
            note()
            await asyncio.sleep(_EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        yield noted
    finally:
        watching.cancel()
        note()


def thinned(values: Sequence[float], most: int = 12) -> list[float]:
    """Return some of the values, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(at * (len(values) - 1) / (most - 1))] for at in range(most)]
