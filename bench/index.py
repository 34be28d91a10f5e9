"""How fast the index finds people: queries a second and latency, beside plain numpy.

    python -m bench.index [--full] [--threads N] [--seconds S]

Prints one JSON document. For each gallery size and batch it times ``FlatGallery.search`` (exact,
the best face of each of 5 people) and, in turns with it, the least that any exact search must do
with numpy: a matrix product and the 5 best scores, not grouped by person. ``ratio`` is the queries
a second of the gallery over those of numpy; it carries over to other machines, the figures do not.
Quick by default (under 30 s); ``--full`` adds a million faces and longer runs. Nothing is asserted.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from identity_index.faiss_gallery import ENGINE, FlatGallery, GalleryFace, tune_this_thread

DIMENSION = 128
K = 5
FACES_OF_A_PERSON = 2
BATCHES = (1, 32)
QUICK_SIZES = (1_000, 10_000, 100_000)
FULL_SIZES = (*QUICK_SIZES, 1_000_000)
_FEWEST_ROUNDS = 5
_REMOVED = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.index", description=__doc__)
    parser.add_argument("--full", action="store_true", help="a million faces too, longer runs")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of both (default 1)")
    parser.add_argument("--seconds", type=float, help="for each measurement (default 1, full 5)")
    asked = parser.parse_args()
    cap_threads_of_numpy(asked.threads)
    seconds = asked.seconds or (5.0 if asked.full else 1.0)
    tune_this_thread(threads=asked.threads, dimension=DIMENSION)
    sizes = FULL_SIZES if asked.full else QUICK_SIZES
    document = {
        "benchmark": "index",
        "engine": ENGINE,
        "faiss": faiss.__version__,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "threads": asked.threads,
        "dimension": DIMENSION,
        "k": K,
        "faces_of_a_person": FACES_OF_A_PERSON,
        "sizes": [measure_size(size, seconds) for size in sizes],
    }
    print(json.dumps(document, indent=2))


def cap_threads_of_numpy(threads: int) -> None:
    """Start this program again with the cap in its environment, where numpy reads it once.

    Threads that spin while they wait would disturb the other library, whose turn it is.
    """
    caps = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))
    caps["OMP_WAIT_POLICY"] = "PASSIVE"
    if any(os.environ.get(name) != cap for name, cap in caps.items()):
        arguments = [sys.executable, "-m", "bench.index", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, **caps})


def measure_size(size: int, seconds: float) -> dict[str, object]:
    """Fill a gallery and measure filling, searching and removing."""
    vectors = unit_vectors(size, seed=0)
    gallery = FlatGallery(DIMENSION)
    faces = [
        GalleryFace(face_id=str(at), person_id=str(at // FACES_OF_A_PERSON), embedding=vector)
        for at, vector in enumerate(vectors)
    ]
    started = time.perf_counter()
    for start in range(0, size, 1000):
        gallery.put(faces[start : start + 1000])
    filled_s = time.perf_counter() - started
    searches = [measure_batch(gallery, vectors, batch, seconds) for batch in BATCHES]
    started = time.perf_counter()
    gallery.discard([str(at) for at in range(0, size, size // _REMOVED)])
    removed_s = time.perf_counter() - started
    return {
        "faces": size,
        "put_faces_per_s": round(size / filled_s),
        f"discard_{_REMOVED}_ms": round(removed_s * 1e3, 3),
        "searches": searches,
    }


def measure_batch(
    gallery: FlatGallery, vectors: NDArray[np.float32], batch: int, seconds: float
) -> dict[str, object]:
    """Time the gallery and numpy in turns, so that a noisy moment meets both."""
    probes = unit_vectors(64 * batch, seed=1).reshape(64, batch, DIMENSION)

    def by_gallery(turn: int) -> None:
        gallery.search(probes[turn % 64], K)

    def by_numpy(turn: int) -> None:
        scores = probes[turn % 64] @ vectors.T
        np.argpartition(scores, -K, axis=1)[:, -K:]

    gallery_s, numpy_s = time_in_turns((by_gallery, by_numpy), 2 * seconds)
    ours, theirs = figures(gallery_s, batch), figures(numpy_s, batch)
    return {
        "batch": batch,
        "gallery": ours,
        "numpy": theirs,
        "ratio": round(ours["queries_per_s"] / theirs["queries_per_s"], 3),
    }


def time_in_turns(
    works: Sequence[Callable[[int], None]], seconds: float
) -> list[NDArray[np.float64]]:
    """Return the seconds of every round of each work, after one that does not count."""
    for work in works:
        work(0)
    taken: list[list[float]] = [[] for _ in works]
    end = time.perf_counter() + seconds
    turn = 0
    while turn < _FEWEST_ROUNDS or time.perf_counter() < end:
        for work, rounds in zip(works, taken, strict=True):
            started = time.perf_counter()
            work(turn)
            rounds.append(time.perf_counter() - started)
        turn += 1
    return [np.array(rounds) for rounds in taken]


def figures(rounds_s: NDArray[np.float64], batch: int) -> dict[str, float]:
    """Return throughput and latency of one batch after the other."""
    p50, p99 = np.percentile(rounds_s, [50, 99]) * 1e3
    return {
        "queries_per_s": round(batch * len(rounds_s) / float(rounds_s.sum()), 1),
        "p50_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
        "rounds": len(rounds_s),
    }


def unit_vectors(count: int, *, seed: int) -> NDArray[np.float32]:
    """Return (count, DIMENSION) random float32 unit vectors."""
    raw = np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    return raw


if __name__ == "__main__":
    main()
