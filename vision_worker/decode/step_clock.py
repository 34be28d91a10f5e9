"""How long a thread is in its present step, for whoever asks whether it hangs (`watchdog.py`)."""

import time


class StepClock:
    """Begun by the thread at each step, put to rest while it waits on purpose; read by others."""

    def __init__(self) -> None:
        self._began_s: float | None = None

    def begin(self) -> None:
        """Say that a step begins."""
        self._began_s = time.monotonic()

    def rest(self) -> None:
        """Say that the thread waits, or has ended."""
        self._began_s = None

    @property
    def stuck_s(self) -> float:
        """Seconds since the present step began; 0 at rest."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s
