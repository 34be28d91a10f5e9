"""How far a live stream's pictures are behind the moment, so that latency stays bounded.

Pure. A machine that decodes too slowly falls behind a camera that sends in time, and what waits in
its sockets makes every sighting later than the one before. The delay at its smallest within the
last minute is what the way takes; the clock of a camera that runs a little too fast or too slow
moves it along. What comes on top of that is lateness, and `reader.py` makes up for it by decoding
key frames alone until the stream is in time again. Where that does not help, the machine is not
what is slow but the camera's clock, which is then not believed any more.
"""

from collections import deque
from typing import Final

_FLOOR_S: Final = 60.0
_STEP_S: Final = 1.0  # the floor is kept in steps, so that a minute is sixty numbers
TOO_LATE_S: Final = 1.0
IN_TIME_S: Final = 0.3
_PATIENCE_S: Final = 10.0


class Lateness:
    """Of one stream."""

    def __init__(self) -> None:
        self._floors: deque[tuple[float, float]] = deque()
        self._fell_behind: tuple[float, float] | None = None
        self._believed = True
        self.behind = False

    def picture(self, *, now_s: float, media_s: float) -> bool:
        """Note a decoded picture; return whether the stream is behind.

        Args:
            now_s: monotonic time in seconds.
            media_s: the picture's time on the stream's own time line, in seconds.
        """
        delay = now_s - media_s
        if self._floors and now_s - self._floors[-1][0] < _STEP_S:
            since, floor = self._floors[-1]
            self._floors[-1] = since, min(floor, delay)
        else:
            self._floors.append((now_s, delay))
        while now_s - self._floors[0][0] > _FLOOR_S:
            self._floors.popleft()
        late_s = delay - min(floor for _, floor in self._floors)
        self.behind = self._believed and late_s > (IN_TIME_S if self.behind else TOO_LATE_S)
        if not self.behind:
            self._fell_behind = None
        elif self._fell_behind is None:
            self._fell_behind = now_s, late_s
        elif now_s - self._fell_behind[0] > _PATIENCE_S:
            self._believed = self.behind = late_s < self._fell_behind[1]
        return self.behind

    def restart(self) -> None:
        """Forget everything, as the stream's time line jumped."""
        self._floors.clear()
        self._fell_behind = None
        self.behind = False
