"""Time for the decoding thread, which cannot await."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class ThreadClock(Protocol):
    """A source of time; tests have one that never waits."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait, or return True as soon as the event is set."""
        ...


class SystemThreadClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait, or return True as soon as the event is set."""
        return stop.wait(seconds)
