"""Whether a live stream's timestamps run about as fast as time does.

Pure. Sampling goes by timestamps, so a camera that counts in wrong units, four seconds for every
one, would be looked at four times as often as asked for, and one that counts too slowly hardly at
all. `reader.py` asks for every picture, and takes the time of arrival for a clock that fails. A
machine or a network that is late for a while is no camera with a wrong clock: what is late is made
up for, so it takes several windows in a row.
"""

from typing import Final

WINDOW_S = 5.0
WINDOWS: Final = 2
_SLOWEST: Final = 0.5
_FASTEST: Final = 1.5


class CameraClock:
    """The clock of one stream."""

    def __init__(self, window_s: float | None = None) -> None:
        self._window_s = WINDOW_S if window_s is None else window_s
        self._began: tuple[float, float] | None = None
        self._failed = 0
        self.believed = True

    def picture(self, *, now_s: float, media_s: float) -> bool:
        """Note a picture; return whether the clock has just been found out.

        Args:
            now_s: monotonic time of its arrival in seconds.
            media_s: its time on the stream's own time line, in seconds.
        """
        if not self.believed:
            return False
        if self._began is None:
            self._began = now_s, media_s
        passed_s = now_s - self._began[0]
        if passed_s < self._window_s:
            return False
        speed = (media_s - self._began[1]) / passed_s
        self._failed = 0 if _SLOWEST <= speed <= _FASTEST else self._failed + 1
        self._began = now_s, media_s
        self.believed = self._failed < WINDOWS
        return not self.believed
