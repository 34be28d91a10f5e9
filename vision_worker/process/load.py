"""What this process costs, measured once for all who tell of it.

The cameras of a process share its memory and its time; a heartbeat is about one camera, so that it
tells an equal share, and the sum over the cameras is what the process takes.
"""

import os

import psutil

from service_runtime.clock import Clock

_AT_LEAST_S = 1.0


class ProcessLoad:
    """The load of this process.

    Args:
        clock: Where time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process = psutil.Process(os.getpid())
        self._read_at = clock.monotonic()
        self._cpu = 0.0
        self._process.cpu_percent()  # the first reading is the start of the interval

    def memory_bytes(self) -> int:
        """Return the resident memory."""
        return int(self._process.memory_info().rss)

    def cpu(self) -> float:
        """Return the cores in use, since the last reading that is at least a second old."""
        now = self._clock.monotonic()
        if now - self._read_at >= _AT_LEAST_S:
            self._read_at = now
            self._cpu = self._process.cpu_percent() / 100
        return self._cpu
