"""Unit vectors for tests of the gallery."""

import numpy as np
from numpy.typing import NDArray

from identity_index.faiss_gallery import GalleryFace


def unit_vectors(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """Return (count, dimension) random unit vectors."""
    raw = np.random.default_rng(seed).normal(size=(count, dimension))
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    return raw.astype(np.float32)


def faces_of(
    vectors: NDArray[np.float32], *, per_person: int = 1, prefix: str = "f"
) -> list[GalleryFace]:
    """Return a gallery face for each vector, ``per_person`` in a row to one person."""
    return [
        GalleryFace(
            face_id=f"{prefix}{at}", person_id=f"{prefix}p{at // per_person}", embedding=vector
        )
        for at, vector in enumerate(vectors)
    ]
