"""Lets frames of a decoder that keeps its state be made ready in the batch of all cameras.

Where key frames are far apart, chunks would cost too much delay. Such a stream is decoded by libav
(`reader.py`), and its sampled pictures go through the same pre-processing graph as those that are
decoded in chunks. Between reader and queue; it does not block either.
"""

import threading
from dataclasses import replace

from vision_worker.decode.batches.batch_thread import (
    BatchFailed,
    BatchThread,
    BatchWork,
    Made,
    Outcome,
)
from vision_worker.decode.frame import Frame
from vision_worker.decode.newest_frames import FrameSink
from vision_worker.sources.failure import SourceFailure

_LAST_FRAME_S = 5.0


class FramesAfter:
    """A sink that lets the frames of a second reader go on after those of a first.

    Args:
        frames: where they go.
        after_s: the last time on the stream's time line that was handed over.
        taken: how many frames were sampled.
    """

    def __init__(self, frames: FrameSink, *, after_s: float, taken: int) -> None:
        self._frames = frames
        self._after_s = after_s
        self._taken = taken
        self._begun = False

    @property
    def dropped(self) -> int:
        """Return how many frames newer ones pushed out."""
        return self._frames.dropped

    def put(self, frame: Frame) -> None:
        """Hand a frame over; nothing says that the first one follows the one before."""
        media_s, index = frame.media_s + self._after_s, frame.index + self._taken
        cut = frame.cut or not self._begun
        self._begun = True
        self._frames.put(replace(frame, media_s=media_s, index=index, cut=cut))

    def finish(self, failure: SourceFailure | None = None) -> None:
        """Say that no frame follows, and why if that is a failure."""
        self._frames.finish(failure)


class PersistentFrames:
    """A sink that has frames prepared before it hands them on."""

    def __init__(self, frames: FrameSink, batches: BatchThread, *, longest_side: int) -> None:
        self._frames = frames
        self._batches = batches
        self._longest_side = longest_side
        self._pushed_out = 0
        self._waiting_cut = False
        self._news = threading.Condition()
        self._under_way = 0

    @property
    def dropped(self) -> int:
        """Return how many frames newer ones pushed out, here and behind."""
        return self._pushed_out + self._frames.dropped

    def put(self, frame: Frame) -> None:
        """Have a frame prepared, then hand it over."""
        if self._batches.forget(self):
            self._pushed_out += 1
            self._count(-1)
            if self._waiting_cut:  # the cut lies before whatever comes next
                frame = replace(frame, cut=True)
        self._waiting_cut = frame.cut

        def deliver(outcome: Outcome) -> None:
            if isinstance(outcome, Made):
                one = outcome.pictures[0]
                self._frames.put(replace(frame, image=one.image, prepared=one.prepared))
            else:
                self._frames.put(frame)  # as libav made it, which is just as good
            self._count(-1)

        work = BatchWork(source=[frame.picture], longest_side=self._longest_side, deliver=deliver)
        self._count(1)
        try:
            self._batches.put(self, work)
        except BatchFailed:
            self._frames.put(frame)
            self._count(-1)

    def finish(self, failure: SourceFailure | None = None) -> None:
        """Say that no frame follows the one that is still being prepared, and why."""
        with self._news:
            self._news.wait_for(lambda: self._under_way == 0, _LAST_FRAME_S)
        self._batches.forget(self)
        self._frames.finish(failure)

    def _count(self, step: int) -> None:
        with self._news:
            self._under_way += step
            self._news.notify_all()
