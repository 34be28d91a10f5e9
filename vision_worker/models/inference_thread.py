"""The one thread of the process in which models run, and whose turn it is.

ONNX Runtime sessions that run side by side fight for the same cores, so all cameras' work queues
up here. Each camera has a lane; lanes take turns, so that a camera with a crowd in its picture
holds up no other. Faces of several cameras that wait for the same models are embedded in one batch.
``inference`` puts the work into a lane and awaits it.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from vision_worker.process.thread_name import name_this_thread

_MOST_ROWS = 32
_WAITING_A_LANE = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """Work of any kind; its outcome goes to ``done``."""

    work: Callable[[], Any]
    done: "Future[Any]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Embedding:
    """Faces to be embedded; may go together with others of the same engine.

    ``then`` makes the outcome of their rows and their share of the time.
    """

    engine: FaceEngine
    chips: NDArray[np.uint8]
    then: Callable[[NDArray[np.float32], float], Any]
    done: "Future[Any]" = field(default_factory=Future)


class Lane:
    """The work of one camera, in its order; `InferenceThread.open_lane` makes it."""

    def __init__(self, thread: "InferenceThread") -> None:
        self._thread = thread
        self._room = asyncio.Semaphore(_WAITING_A_LANE)
        self.waiting: deque[_Job | _Embedding] = deque()  # guarded by the thread's lock

    async def run(self, work: Callable[[], T]) -> T:
        """Run short work in the thread."""
        outcome: T = await self._await(_Job(work=work))
        return outcome

    async def embed(
        self,
        engine: FaceEngine,
        chips: NDArray[np.uint8],
        *,
        then: Callable[[NDArray[np.float32], float], T],
    ) -> T:
        """Embed (n, s, s, 3) chips, with those of other lanes if any wait.

        Returns:
            What ``then`` makes, in the thread, of the (n, d) float32 and of the seconds they took.
        """
        outcome: T = await self._await(_Embedding(engine=engine, chips=chips, then=then))
        return outcome

    async def _await(self, job: _Job | _Embedding) -> Any:  # noqa: ANN401 whatever the work returns
        async with self._room:
            self._thread.put(self, job)
            return await asyncio.wrap_future(job.done)


class InferenceThread:
    """The thread; use it as ``start`` … ``close``."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._turns: deque[Lane] = deque()  # lanes with work, the next one first
        self._closed = False
        self._began_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self.merged = 0

    def start(self) -> None:
        """Begin; the thread does not keep the process alive."""
        self._thread.start()

    def close(self) -> None:
        """End once the present work is done; what waits is cancelled."""
        with self._news:
            self._closed = True
            for lane in self._turns:
                for job in lane.waiting:
                    job.done.cancel()
                lane.waiting.clear()
            self._turns.clear()
            self._news.notify()

    def open_lane(self) -> Lane:
        """Return a new lane; it needs no closing."""
        return Lane(self)

    @property
    def busy_s(self) -> float:
        """Seconds that the present work has taken so far; 0 where there is none."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def put(self, lane: Lane, job: _Job | _Embedding) -> None:
        """Add work to a lane."""
        with self._news:
            if self._closed:
                job.done.cancel()
                return
            if not lane.waiting:
                self._turns.append(lane)
            lane.waiting.append(job)
            self._news.notify()

    def _run(self) -> None:
        name_this_thread("inference")
        while True:
            with self._news:
                while not self._turns and not self._closed:
                    self._news.wait()
                if self._closed:
                    return
                jobs = self._next()
                self._began_s = time.monotonic()
            _do([job for job in jobs if job.done.set_running_or_notify_cancel()])
            self._began_s = None
            del jobs  # their pictures are not to be kept until the next work comes

    def _next(self) -> list[_Job | _Embedding]:
        """Take the work of the lane whose turn it is, and what can be done with it in one go."""
        first = self._take(self._turns[0])
        taken = [first]
        if isinstance(first, _Embedding):
            rows = len(first.chips)
            for lane in list(self._turns):
                other = lane.waiting[0]
                if not isinstance(other, _Embedding) or other.engine is not first.engine:
                    continue
                if rows + len(other.chips) <= _MOST_ROWS:
                    rows += len(other.chips)
                    taken.append(self._take(lane))
                    self.merged += 1
        return taken

    def _take(self, lane: Lane) -> _Job | _Embedding:
        job = lane.waiting.popleft()
        self._turns.remove(lane)
        if lane.waiting:
            self._turns.append(lane)
        return job


def _do(jobs: list[_Job | _Embedding]) -> None:
    try:
        outcomes = _outcomes(jobs)
    except Exception as error:  # noqa: BLE001 the thread's root: whoever waits gets the error
        if len(jobs) == 1:
            jobs[0].done.set_exception(error)
            return
        for job in jobs:  # what one camera handed in is not to be another's error
            _do([job])
        return
    for job, outcome in zip(jobs, outcomes, strict=True):
        job.done.set_result(outcome)


def _outcomes(jobs: list[_Job | _Embedding]) -> list[Any]:
    embeddings = [job for job in jobs if isinstance(job, _Embedding)]
    if not embeddings:
        return [job.work() for job in jobs if isinstance(job, _Job)]
    chips = [job.chips for job in embeddings]
    together = chips[0] if len(chips) == 1 else np.concatenate(chips)
    began = time.perf_counter()
    rows = embeddings[0].engine.embed(together)
    each_s = (time.perf_counter() - began) / max(len(together), 1)
    parts = np.split(rows, np.cumsum([len(one) for one in chips])[:-1])
    return [job.then(part, each_s * len(part)) for job, part in zip(embeddings, parts, strict=True)]
