"""A clock for decoding threads that never waits: time passes when somebody would wait."""

import threading
from datetime import UTC, datetime, timedelta


class RushingClock:
    """Jumps ahead instead of waiting; `waited` holds every wait in seconds."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self.waited: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waited.append(seconds)
        self._elapsed += seconds
        return stop.is_set()
