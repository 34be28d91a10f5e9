"""How many frames a second are looked at: what was asked for, or what the machine can do.

Pure. Where frames are pushed out by newer ones, the models are too slow for the rate, and each lost
frame was decoded and converted for nothing. So the rate falls to what gets through, and is raised
again step by step once nothing is lost; a raise that fails is not tried again so soon. `reader.py`
asks after every sampled frame; the worker says `degraded` while the rate stays low.
"""

from dataclasses import dataclass
from typing import Final

_WINDOW_S: Final = 2.0
_TOLERATED: Final = 0.1  # share of lost frames that changes nothing
_BEHIND: Final = 0.9  # of what got through: the queue has to run empty too
_LEAST_SHARE: Final = 0.1  # of what was asked for
_RAISE: Final = 1.2
_FIRST_CALM_S, _LONGEST_CALM_S = 4.0, 64.0


@dataclass(slots=True)
class SampleRate:
    """The rate in force.

    Attributes:
        asked: frames a second that the camera's settings ask for.
        fps: frames a second to sample now.
    """

    asked: float
    fps: float = 0.0
    _window_s: float | None = None
    _taken: int = 0
    _lost_before: int = 0
    _calm_s: float = 0.0
    _needed_calm_s: float = _FIRST_CALM_S
    _raised: bool = False
    _settled: bool = False

    def __post_init__(self) -> None:
        """Begin with what was asked for."""
        self.fps = self.asked

    @property
    def reduced(self) -> bool:
        """Whether it is clearly less than what was asked for."""
        return self.fps < 0.8 * self.asked

    def sampled(self, now_s: float, *, lost: int) -> float:
        """Note a sampled frame; return the rate from here on.

        Args:
            now_s: monotonic time in seconds.
            lost: frames lost so far in all.
        """
        if self._window_s is None:
            self._window_s, self._lost_before = now_s, lost
        self._taken += 1
        passed = now_s - self._window_s
        if passed >= _WINDOW_S and self._taken >= 3:
            if self._settled:
                self._judge(passed, share=min(1.0, (lost - self._lost_before) / self._taken))
            self._settled = True  # what waited while the stream was opened comes all at once
            self._window_s, self._taken, self._lost_before = now_s, 0, lost
        return self.fps

    def _judge(self, passed: float, *, share: float) -> None:
        if share > _TOLERATED:
            if self._raised:
                self._needed_calm_s = min(2 * self._needed_calm_s, _LONGEST_CALM_S)
            got_through = self.fps * (1 - share)
            self.fps = max(self.asked * _LEAST_SHARE, got_through * _BEHIND)
            self._calm_s, self._raised = 0.0, False
            return
        self._calm_s += passed
        if self._calm_s < self._needed_calm_s:
            return
        if self.fps < self.asked:
            self.fps = min(self.asked, self.fps * _RAISE)
            self._calm_s, self._raised = 0.0, True
        else:
            self._needed_calm_s = _FIRST_CALM_S
