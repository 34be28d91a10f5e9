"""Turns aligned chips into the raw outputs of the pack's recognition network.

Chips go in batches of a few fixed sizes, padded, so that memory is planned for few shapes.
`engine.py` places the outputs in the pack's comparison space.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from face_engine.onnx_session import Session

_BUCKETS = (1, 2, 4, 8, 16)
_OUTPUT_LENGTH = 128


class DlibEmbedder:
    """Runs the network named dlib_resnet on 150x150 RGB chips."""

    def __init__(self, sessions: Mapping[str, Session], *, mirror_averaged: bool) -> None:
        self._session = sessions["dlib_resnet.onnx"]
        self._mirror_averaged = mirror_averaged

    def raw(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (n, 128) float32 for (n, 150, 150, 3) uint8; neither centred nor normalised."""
        if not self._mirror_averaged:
            return self._run(chips)
        both = self._run(np.concatenate([chips, chips[:, :, ::-1]]))
        return (both[: len(chips)] + both[len(chips) :]) / np.float32(2)

    def _run(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = np.empty((len(chips), _OUTPUT_LENGTH), np.float32)
        for start in range(0, len(chips), _BUCKETS[-1]):
            batch = chips[start : start + _BUCKETS[-1]]
            bucket = next(size for size in _BUCKETS if size >= len(batch))
            padded = np.zeros((bucket, *chips.shape[1:]), np.uint8)
            padded[: len(batch)] = batch
            found[start : start + len(batch)] = self._session.run_fixed(["embeddings"], padded)[0][
                : len(batch)
            ]
        return found
