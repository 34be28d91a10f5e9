"""The one thread of the process in which models run, shared by all its cameras.

ONNX Runtime sessions that run side by side fight for the same cores, so frames and chips queue up
here instead; asyncio awaits the results. What a frame needs is done in one trip. `pipeline.py`
calls it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.packs import ModelPack
from face_engine.values import Detections, Quality
from vision_worker.tracking.shot_cut import thumbnail

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What is in one frame.

    Attributes:
        detections: the n faces.
        chips: (n, s, s, 3) uint8 RGB; the aligned faces.
        qualities: one a face.
        thumb: (36, 64) uint8; the frame, small and grey.
        detect_s: seconds spent on detection.
        assess_s: seconds spent on alignment and quality.
    """

    detections: Detections
    chips: NDArray[np.uint8]
    qualities: Sequence[Quality]
    thumb: NDArray[np.uint8]
    detect_s: float
    assess_s: float


class InferenceThread:
    """Runs one engine's models, one call after the other."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    @property
    def pack(self) -> ModelPack:
        """Return the pack that the models belong to."""
        return self._engine.pack

    async def look(self, image: NDArray[np.uint8], *, min_face_px: int) -> Look:
        """Find and assess the faces of a frame, (h, w, 3) uint8 RGB."""
        return await self.run(lambda: self._look(image, min_face_px))

    async def embed(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed (n, s, s, 3) chips as (n, d) float32 of unit length."""
        return await self.run(lambda: self._engine.embed(chips))

    async def run(self, work: Callable[[], T]) -> T:
        """Do any other short work beside the models, such as an encoding."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Let go of the thread once it has done what was asked of it."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _look(self, image: NDArray[np.uint8], min_face_px: int) -> Look:
        began = time.perf_counter()
        found = self._engine.detect(image, min_face_px=min_face_px)
        detected = time.perf_counter()
        chips = self._engine.align(image, found.points)
        qualities = self._engine.assess(image, found, chips=chips)
        thumb = thumbnail(image)
        return Look(
            detections=found,
            chips=chips,
            qualities=qualities,
            thumb=thumb,
            detect_s=detected - began,
            assess_s=time.perf_counter() - detected,
        )
