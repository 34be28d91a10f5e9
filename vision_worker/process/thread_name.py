"""Tells the system what a thread does, so that `top -H` and its like show where time goes."""

import ctypes
from contextlib import suppress

_PR_SET_NAME = 15  # Linux


def name_this_thread(name: str) -> None:
    """Name the calling thread, in at most 15 bytes; without effect where that is unknown."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
