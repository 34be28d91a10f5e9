"""The thread of the process that draws and encodes what people look at, shared by all cameras.

It yields to everything else of the machine (``nice``), because a look must not cost a sighting:
detection has a thread of its own, and both leave Python's lock while they work. It exists from the
first look on.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

_NICE = 10


class PictureThread:
    """Draws pictures, one after the other."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="pictures", initializer=_yield_to_others
        )

    async def run(self, work: Callable[[], T]) -> T:
        """Do a piece of work in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Let go of the thread once it has done what it does now."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _yield_to_others() -> None:
    with suppress(OSError, AttributeError):  # a nicety: where it is not to be had, none
        # on Linux this is the thread's own, not the process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
