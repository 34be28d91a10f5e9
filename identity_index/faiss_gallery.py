"""The enrolled faces in a FAISS flat index: exact search, one answer a person.

The gallery owns the order of its rows: a face that goes is overwritten by the last row, because
FAISS removes arbitrary ids by looking at every row (10 ms for 200,000 of 128 values, however many
go) and the last rows at once (0.2 ms). Nothing here is safe for several threads: `search_loop` owns
every gallery in one. FAISS files are never read or written; the control plane has the truth.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

ENGINE = "faiss-flat"
_OVERSAMPLE = 4  # faces looked at for each person wanted; most people have fewer references
_WIDEN = 8
_BLAS_FROM_PROBES = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GalleryFace:
    """An enrolled face; ``embedding`` is (d,) float32 of unit length."""

    face_id: str
    person_id: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A person, with the enrolled face that came closest; ``score`` is the inner product."""

    person_id: str
    face_id: str
    score: float


def tune_this_thread(*, threads: int, dimension: int) -> None:
    """Cap the threads of FAISS and choose its kernel; call it in the thread that searches.

    OpenMP keeps its cap for each calling thread, so a cap set anywhere else does not count. FAISS
    goes from one dot product at a time to a matrix product (BLAS) where probes x dimension reaches
    its threshold, 128,000 by default: never here. The product wins from 6 probes on (measured with
    FAISS 1.15.1 on 100,000 x 128, one thread: 19 probes 12 ms against 34, 32 probes 14 against 57;
    alone, a probe takes 1.8 ms without it and 7 with it). The threshold is the whole process's.
    """
    faiss.omp_set_num_threads(threads)
    faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM_PROBES * dimension


class FlatGallery:
    """Faces of one embedding space, searched exactly by inner product."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._index: Any = faiss.IndexFlatIP(dimension)  # faiss's own types are of little help
        self._face_ids: list[str] = []
        self._person_ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self._faces_of: Counter[str] = Counter()

    @property
    def faces(self) -> int:
        """Return how many faces can be found."""
        return len(self._face_ids)

    @property
    def persons(self) -> int:
        """Return how many people can be found."""
        return len(self._faces_of)

    @property
    def memory_bytes(self) -> int:
        """Return the size of the vectors."""
        return 4 * self.dimension * self.faces

    def put(self, faces: Sequence[GalleryFace]) -> None:
        """Add faces; one that is there already takes the new person and embedding.

        Raises:
            ValueError: an embedding is not (dimension,).
        """
        for face in faces:
            if face.embedding.shape != (self.dimension,):
                raise ValueError(
                    f"embedding: expected shape ({self.dimension},), got {face.embedding.shape}"
                )
        fresh = {face.face_id: face for face in faces}  # the last word on a face counts
        known = [face for face in fresh.values() if face.face_id in self._row_of]
        if known:
            vectors = self._vectors()
            for face in known:
                row = self._row_of[face.face_id]
                vectors[row] = face.embedding
                self._forget_person(self._person_ids[row])
                self._person_ids[row] = face.person_id
                self._faces_of[face.person_id] += 1
                del fresh[face.face_id]
        if fresh:
            self._index.add(np.stack([face.embedding for face in fresh.values()], dtype=np.float32))
            for face in fresh.values():
                self._row_of[face.face_id] = len(self._face_ids)
                self._face_ids.append(face.face_id)
                self._person_ids.append(face.person_id)
                self._faces_of[face.person_id] += 1

    def discard(self, face_ids: Iterable[str]) -> None:
        """Remove faces; those that are not there are fine."""
        rows = [self._row_of[face_id] for face_id in set(face_ids) if face_id in self._row_of]
        if not rows:
            return
        vectors = self._vectors()
        for row in sorted(rows, reverse=True):
            last = self.faces - 1
            self._forget_person(self._person_ids[row])
            del self._row_of[self._face_ids[row]]
            if row != last:
                vectors[row] = vectors[last]
                self._face_ids[row] = self._face_ids[last]
                self._person_ids[row] = self._person_ids[last]
                self._row_of[self._face_ids[row]] = row
            vectors[last] = 0  # FAISS keeps the memory, and an erased face must not stay in it
            self._face_ids.pop()
            self._person_ids.pop()
        left = self.faces
        self._index.remove_ids(faiss.IDSelectorRange(left, left + len(rows)))

    def search(self, probes: NDArray[np.float32], k: int) -> list[list[Match]]:
        """Find the k closest people for each probe, each with the best of their faces.

        Args:
            probes: (n, dimension) float32 of unit length.
            k: people wanted, at least 1.

        Returns:
            n lists, closest first, of k matches or, in a smaller gallery, of everybody.

        The first k different people among faces in order of their score are the k closest: if they
        are not among the faces looked at, more are looked at, in the end all of them.
        """
        wanted = min(k, self.persons)
        found: list[list[Match]] = [[] for _ in range(len(probes))]
        unsettled = list(range(len(probes))) if wanted else []
        depth = min(self.faces, _OVERSAMPLE * wanted)
        while unsettled:
            scores, rows = self._index.search(probes[unsettled], depth)
            for at, at_scores, at_rows in zip(
                unsettled, scores.tolist(), rows.tolist(), strict=True
            ):
                found[at] = self._best_of_each(at_scores, at_rows, wanted)
            if depth == self.faces:
                break
            unsettled = [at for at in unsettled if len(found[at]) < wanted]
            depth = min(self.faces, _WIDEN * depth)
        return found

    def _best_of_each(self, scores: list[float], rows: list[int], wanted: int) -> list[Match]:
        best: dict[str, Match] = {}
        for score, row in zip(scores, rows, strict=True):
            person_id = self._person_ids[row]
            if person_id not in best:
                best[person_id] = Match(
                    person_id=person_id, face_id=self._face_ids[row], score=score
                )
                if len(best) == wanted:
                    break
        return list(best.values())

    def _vectors(self) -> NDArray[np.float32]:
        """Return FAISS's own memory as (faces, dimension); only good until rows are added."""
        flat = faiss.rev_swig_ptr(self._index.get_xb(), self.faces * self.dimension)
        view: NDArray[np.float32] = flat.reshape(self.faces, self.dimension)
        return view

    def _forget_person(self, person_id: str) -> None:
        self._faces_of[person_id] -= 1
        if not self._faces_of[person_id]:
            del self._faces_of[person_id]
