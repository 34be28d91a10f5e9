"""The thread that decodes for many cameras at once: takes what waits, makes one batch of it.

Each camera has one place to wait in, so nothing grows, and of two chunks of one camera the newer
one wins. What comes out goes back to the camera's reader through its own callback, in this thread.
Readers (`chunk_reader.py`, `persistent_frames.py`) hand work in; `dali.py` does it.
"""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from face_engine.detectors.prepared import InputSize, fitted
from service_runtime.structured_logging import get_logger
from vision_worker.decode.batches.batch import MOST_PICTURES, BatchDecoder, WantedFrames
from vision_worker.decode.batches.chunks import UnusableChunk
from vision_worker.decode.batches.prepared import PreparedBatch, PreparedRow
from vision_worker.decode.picture import Picture

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MadePicture:
    """A picture that came out.

    Attributes:
        image: (h, w, 3) uint8 RGB at the working size.
        picture: in full.
        prepared: its place in the batch that the detector searches.
    """

    image: NDArray[np.uint8]
    picture: Picture
    prepared: PreparedRow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """What came of a camera's work.

    Attributes:
        pictures: in the order asked for.
        seconds: the camera's share of the time that decoding and preparation took.
    """

    pictures: Sequence[MadePicture]
    seconds: float


class BatchFailed(Exception):
    """The thread has ended; what it was to do has to be done otherwise."""


Outcome = Made | UnusableChunk | BatchFailed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchWork:
    """Something to be decoded, or decoded pictures to be made ready.

    Attributes:
        source: a chunk and which of its pictures, or pictures.
        longest_side: of the working size.
        deliver: called once with the outcome, in the batch thread; must not block.
    """

    source: WantedFrames | Sequence[Picture]
    longest_side: int
    deliver: Callable[[Outcome], None]


class BatchThread:
    """One a process and detector; `start` it before use.

    Args:
        decoder: makes pictures; used in this thread alone, but for its name.
        input_sizes: what the detector wants for a working size.
    """

    def __init__(
        self,
        decoder: BatchDecoder,
        input_sizes: Callable[[tuple[int, int]], tuple[InputSize, ...]],
    ) -> None:
        self._decoder = decoder
        self._input_sizes = input_sizes
        self._news = threading.Condition()
        self._waiting: dict[Hashable, BatchWork] = {}
        self._over = False
        self._thread = threading.Thread(target=self._run, name="batch-decode", daemon=True)
        self.batches = self.chunks = 0

    @property
    def decoder(self) -> BatchDecoder:
        """Return what decodes."""
        return self._decoder

    @property
    def alive(self) -> bool:
        """Return whether work is taken."""
        return not self._over

    def start(self) -> None:
        """Begin; the thread does not keep the process alive."""
        self._thread.start()

    def put(self, camera: Hashable, work: BatchWork) -> None:
        """Have work done; it pushes out what still waits for this camera.

        Raises:
            BatchFailed: the thread has ended.
        """
        with self._news:
            if self._over:
                raise BatchFailed("Decoding in batches has ended.")
            self._waiting.pop(camera, None)  # the newer one queues up behind the others
            self._waiting[camera] = work
            self._news.notify()

    def forget(self, camera: Hashable) -> bool:
        """Do not begin what still waits for a camera; return whether anything did."""
        with self._news:
            return self._waiting.pop(camera, None) is not None

    def close(self, timeout_s: float = 5.0) -> None:
        """End, and free the decoder's memory; blocks until the present batch is done."""
        with self._news:
            self._over = True
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while (works := self._next()) is not None:
                self._do(works)
        except Exception as error:  # noqa: BLE001 - the thread's root; every reader is told
            _log.error("batch_decoding.failed", kind=type(error).__name__)
        finally:
            with self._news:
                self._over = True
                left, self._waiting = list(self._waiting.values()), {}
            for work in left:
                work.deliver(BatchFailed("Decoding in batches has ended."))
            self._decoder.close()

    def _next(self) -> Sequence[BatchWork] | None:
        with self._news:
            while not self._waiting and not self._over:
                self._news.wait()
            if self._over:
                return None
            cameras = list(islice(self._waiting, self._decoder.width))
            return [self._waiting.pop(camera) for camera in cameras]

    def _do(self, works: Sequence[BatchWork]) -> None:
        delivered: set[int] = set()
        try:
            for at, outcome in self._outcomes(works):
                delivered.add(at)
                works[at].deliver(outcome)
        finally:
            for at, work in enumerate(works):
                if at not in delivered:  # the thread is about to end
                    work.deliver(BatchFailed("Decoding in batches has ended."))

    def _outcomes(self, works: Sequence[BatchWork]) -> Sequence[tuple[int, Outcome]]:
        began = time.perf_counter()
        decoded = self._decoded(works)
        outcomes: list[tuple[int, Outcome]] = []
        groups: dict[tuple[tuple[int, int], bool], list[tuple[int, Picture]]] = {}
        for at, pictures in enumerate(decoded):
            if isinstance(pictures, UnusableChunk):
                outcomes.append((at, pictures))
                continue
            for picture in pictures:
                working = fitted(*picture.size, works[at].longest_side)
                from_here = isinstance(works[at].source, WantedFrames)
                groups.setdefault((working, from_here), []).append((at, picture))
        made: dict[int, list[MadePicture]] = {
            at: [] for at, found in enumerate(decoded) if not isinstance(found, UnusableChunk)
        }
        for (working, _), group in groups.items():
            for start in range(0, len(group), MOST_PICTURES):
                part = group[start : start + MOST_PICTURES]
                ready = self._ready([picture for _, picture in part], working)
                for (at, _), one in zip(part, ready, strict=True):
                    made[at].append(one)
        share = (time.perf_counter() - began) / len(works)
        outcomes += [(at, Made(pictures=ones, seconds=share)) for at, ones in made.items()]
        return outcomes

    def _decoded(self, works: Sequence[BatchWork]) -> list[Sequence[Picture] | UnusableChunk]:
        chunks = [work.source for work in works if isinstance(work.source, WantedFrames)]
        pictures = iter(self._decoder.decode(chunks))
        self.batches += 1
        self.chunks += len(chunks)
        return [
            next(pictures) if isinstance(work.source, WantedFrames) else work.source
            for work in works
        ]

    def _ready(self, pictures: Sequence[Picture], working: tuple[int, int]) -> list[MadePicture]:
        made = self._decoder.prepare(pictures, working, self._input_sizes(working))
        batch = PreparedBatch(made.inputs, working, len(pictures))
        return [
            MadePicture(image=image, picture=picture, prepared=PreparedRow(batch=batch, row=row))
            for row, (image, picture) in enumerate(zip(made.images, pictures, strict=True))
        ]
