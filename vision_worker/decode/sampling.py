"""Which frames are worth decoding, and which of those are worth converting.

Pure. Sampling is by the stream's own time line, so a camera of 12, 25 or 60 frames a second gives
the same rate. What libav may skip follows from the rate: frames that no other refers to where the
rest is dense enough, and all but the key frames where these alone suffice. Both guesses are
withdrawn when the stream turns out otherwise. `reader.py` asks here for every packet and frame.
"""

from typing import Literal

SkipMode = Literal["DEFAULT", "NONREF", "NONKEY"]
"""Names of libav's `skip_frame`: decode all; all that others refer to; key frames only."""

_SLACK_S = 1e-3  # timestamps are rounded to the stream's ticks
_SHORTEST_STEP_S = 1e-4
_LONGEST_STEP_S = 10.0
_LONGEST_LEAP_S = 4.0
_KEY_INTERVALS = 4  # how many must agree before all other frames are skipped


class TimeSampler:
    """Takes a frame whenever its time has come."""

    def __init__(self, fps: float) -> None:
        self.period_s = 1.0 / fps
        self._due_s: float | None = None

    def pace(self, fps: float) -> None:
        """Take frames at another rate from the next one on."""
        self.period_s = 1.0 / fps

    def wants(self, media_s: float) -> bool:
        """Say whether to take the frame of this time; times must not run backwards."""
        if self._due_s is not None and media_s < self._due_s - _SLACK_S:
            return False
        due = media_s if self._due_s is None else self._due_s
        late = media_s - due >= self.period_s
        self._due_s = (media_s if late else due) + self.period_s
        return True


class MediaTimeline:
    """Makes one growing time line of what timestamps a stream has."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._stamp_s: float | None = None
        self._begun = False
        self.guessed = False
        self.now_s = 0.0

    def advance(self, stamp_s: float | None) -> float:
        """Return the time of the next frame from its timestamp in seconds, if it has one.

        A missing, repeated or absurd timestamp counts as one frame later, and `guessed` says so.
        """
        step = self._frame_s
        self.guessed = self._begun
        if stamp_s is not None and self._stamp_s is not None:
            given = stamp_s - self._stamp_s
            if _SHORTEST_STEP_S <= given <= _LONGEST_STEP_S:
                step, self.guessed = given, False
        self._stamp_s = stamp_s if stamp_s is not None else self._stamp_s
        self.now_s += step if self._begun else 0.0
        self._begun = True
        return self.now_s

    def restart(self) -> None:
        """Expect timestamps to begin anew, one frame after the last."""
        self._stamp_s = None


class SkipPolicy:
    """Chooses what libav skips."""

    def __init__(self, *, sample_period_s: float, frame_s: float | None) -> None:
        self._period_s = sample_period_s
        self._dense = frame_s is not None and 2 * frame_s <= sample_period_s
        self._behind = False
        self._key_s: float | None = None
        self._intervals: list[float] = []
        self._decoded_s: float | None = None
        self.mode: SkipMode = "NONREF" if self._dense else "DEFAULT"

    def packet(self, *, key: bool, stamp_s: float | None) -> SkipMode:
        """Return what to skip from this packet on.

        Key-only decoding begins and ends at key frames alone, where no reference is missing; an
        interval that grew beyond the sampling period withdraws it at the next one.
        """
        if not key or stamp_s is None:
            return self.mode
        if self._key_s is not None:
            interval = stamp_s - self._key_s
            self._intervals = [*self._intervals, interval][-_KEY_INTERVALS:]
        self._key_s = stamp_s
        enough = len(self._intervals) == _KEY_INTERVALS
        suffice = enough and all(0 < one <= self._period_s + _SLACK_S for one in self._intervals)
        if suffice or self._behind:
            self.mode = "NONKEY"
        elif self.mode == "NONKEY":
            self.mode = "NONREF" if self._dense else "DEFAULT"
            self._decoded_s = None  # the gaps so far were made here
        return self.mode

    def decoded(self, media_s: float) -> SkipMode:
        """Return what to skip after a frame came out; gaps beyond the period end NONREF."""
        gap = None if self._decoded_s is None else media_s - self._decoded_s
        self._decoded_s = media_s
        if self.mode == "NONREF" and gap is not None and gap > self._period_s + _SLACK_S:
            self._dense = False
            self.mode = "DEFAULT"
        return self.mode

    def pace(self, sample_period_s: float) -> None:
        """Sample at another period from here on."""
        self._period_s = sample_period_s

    def catch_up(self, *, behind: bool) -> SkipMode:
        """Return what to skip while the stream is behind, or is so no longer.

        Key frames alone, from here on and until one finds the stream in time; where they are far
        apart too little would be left to look at, and nothing changes.
        """
        self._behind = behind and bool(self._intervals) and self._intervals[-1] <= _LONGEST_LEAP_S
        if self._behind:
            self.mode = "NONKEY"
        return self.mode

    def restart(self) -> None:
        """Forget where the last key frame was, as a recording begins again."""
        self._key_s = self._decoded_s = None
