"""One thread owns the galleries: searches and changes pass through it one after the other.

So a search sees a gallery as it is at one revision, whole, the event loop stays free, and no lock
is held anywhere. Searches that arrive while another runs are joined into one pass over the vectors.
`servicer` asks; `feed` hands in changes, and whole new galleries that take the old one's place.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from identity_index.faiss_gallery import FlatGallery, GalleryFace, Match, tune_this_thread
from service_runtime.clock import Clock
from service_runtime.errors import DeadlineExceeded, ResourceExhausted, Unavailable

_MOST_PROBES_IN_A_PASS = 256
_MOST_PROBES_WAITING = 8192

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Faces to put and to discard, in this order: a face that is removed never comes back."""

    put: Sequence[GalleryFace] = ()
    discard: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedState:
    """What is served: ``revision`` is the last change of the control plane that it knows."""

    revision: int
    faces: int
    persons: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One list of matches for each probe, and the revision of the gallery that gave them."""

    matches: list[list[Match]]
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Request:
    probes: NDArray[np.float32]
    k: int
    answer: asyncio.Future[Answer]


class SearchLoop:
    """Searches and changes the gallery that is served.

    ``ready`` is set once a first gallery is served.

    Args:
        dimension: length of the embeddings.
        threads: CPU threads of one search.
        clock: for waiting.
    """

    def __init__(self, *, dimension: int, threads: int, clock: Clock) -> None:
        self._dimension = dimension
        self._clock = clock
        self._thread = ThreadPoolExecutor(
            max_workers=1,
            thread_name_prefix="search",
            initializer=partial(tune_this_thread, threads=threads, dimension=dimension),
        )
        self._served: FlatGallery | None = None  # the thread's
        self._state: ServedState | None = None
        self._waiting: deque[_Request] = deque()
        self._probes_waiting = 0
        self._work = asyncio.Event()
        self._followers: list[tuple[int, asyncio.Future[None]]] = []
        self.ready = asyncio.Event()

    @property
    def state(self) -> ServedState | None:
        """Return what is served; None before the first gallery is complete."""
        return self._state

    @property
    def served(self) -> FlatGallery | None:
        """Return the gallery that is served, only to hand it back to ``change`` or ``publish``."""
        return self._served

    def new_gallery(self) -> FlatGallery:
        """Return an empty gallery that nobody sees before it is published."""
        return FlatGallery(self._dimension)

    async def search(self, probes: NDArray[np.float32], k: int) -> Answer:
        """Find the k closest people for each of (n, dimension) probes.

        Raises:
            Unavailable: INDEX_NOT_READY, no gallery is complete yet.
            ResourceExhausted: SEARCH_BUSY, too much is waiting already.
        """
        if self._state is None:
            raise _not_ready()
        if self._probes_waiting + len(probes) > _MOST_PROBES_WAITING:
            raise ResourceExhausted(
                "SEARCH_BUSY", "Too many searches are waiting; try again in a moment."
            )
        request = _Request(probes=probes, k=k, answer=asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._probes_waiting += len(probes)
        self._work.set()
        return await request.answer

    async def change(self, gallery: FlatGallery, change: Change) -> None:
        """Change a gallery; what is told of the one that is served stays as it is."""
        await self._on_thread(lambda: _apply(gallery, change))

    async def publish(self, gallery: FlatGallery, change: Change, revision: int) -> None:
        """Change a gallery, and serve it at this revision from the next search on."""

        def apply_and_serve() -> ServedState:
            _apply(gallery, change)
            self._served = gallery
            self._state = ServedState(
                revision=revision,
                faces=gallery.faces,
                persons=gallery.persons,
                memory_bytes=gallery.memory_bytes,
            )
            return self._state

        state = await self._on_thread(apply_and_serve)
        self.ready.set()
        for wanted, reached in self._followers:
            if wanted <= state.revision and not reached.done():
                reached.set_result(None)

    async def wait_for(self, revision: int, *, patience_s: float) -> None:
        """Wait until what is served knows every change up to ``revision``.

        Raises:
            DeadlineExceeded: INDEX_BEHIND, it did not within ``patience_s``.
            Unavailable: INDEX_NOT_READY, no gallery was complete within ``patience_s``.
        """
        if self._knows(revision):
            return
        follower = (revision, asyncio.get_running_loop().create_future())
        patience = asyncio.create_task(self._clock.sleep(patience_s))
        self._followers.append(follower)
        try:
            await asyncio.wait({follower[1], patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
            self._followers.remove(follower)
        if self._state is None:
            raise _not_ready()
        if not self._knows(revision):
            raise DeadlineExceeded(
                "INDEX_BEHIND",
                f"The index has not followed up to revision {revision} yet; try again.",
                revision=str(self._state.revision),
                min_revision=str(revision),
            )

    async def run(self) -> None:
        """Answer searches until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while batch := self._next_batch():
                try:
                    answers = await self._on_thread(partial(self._answer, batch))
                except Exception as error:  # noqa: BLE001 a defect goes to those who asked, not to all after them
                    for request in batch:
                        if not request.answer.done():
                            request.answer.set_exception(error)
                    continue
                for request, answer in zip(batch, answers, strict=True):
                    if not request.answer.done():
                        request.answer.set_result(answer)

    def close(self) -> None:
        """End the thread; whoever still waits is told to try elsewhere."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        for request in self._waiting:
            if not request.answer.done():
                request.answer.set_exception(
                    Unavailable("INDEX_STOPPING", "The index is stopping; try again.")
                )
        self._waiting.clear()

    def _next_batch(self) -> list[_Request]:
        batch: list[_Request] = []
        probes = 0
        while self._waiting:
            size = len(self._waiting[0].probes)
            if batch and probes + size > _MOST_PROBES_IN_A_PASS:
                break
            request = self._waiting.popleft()
            self._probes_waiting -= size
            if not request.answer.done():  # else its caller has left
                batch.append(request)
                probes += size
        return batch

    def _answer(self, batch: Sequence[_Request]) -> list[Answer]:
        """Search for all of a batch at once; in the thread."""
        gallery, state = self._served, self._state
        if gallery is None or state is None:
            raise _not_ready()
        probes = np.concatenate([request.probes for request in batch])
        found = gallery.search(probes, max(request.k for request in batch))
        answers: list[Answer] = []
        start = 0
        for request in batch:
            end = start + len(request.probes)
            matches = [one[: request.k] for one in found[start:end]]
            answers.append(Answer(matches=matches, revision=state.revision))
            start = end
        return answers

    def _knows(self, revision: int) -> bool:
        return self._state is not None and self._state.revision >= revision

    async def _on_thread(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


def _apply(gallery: FlatGallery, change: Change) -> None:
    gallery.put(change.put)
    gallery.discard(change.discard)


def _not_ready() -> Unavailable:
    return Unavailable(
        "INDEX_NOT_READY", "The index has not read the enrolled faces yet; try again in a moment."
    )
