"""What a camera asks of the models, done in the thread that all cameras share.

Frames and chips queue up in the camera's lane (`inference_thread.py`); asyncio awaits the results.
What a frame needs is done in one trip. `pipeline.py` calls it.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.packs import ModelPack
from face_engine.values import Detections, Quality
from vision_worker.inference_thread import Lane
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


class CameraInference:
    """The models as one camera sees them: its lane of the thread, its share of an engine.

    Args:
        lane: Where its work queues up.
        pack: Pack that the models belong to.
        engine: Gives the models, loaded if need be; what it raises passes through.
    """

    def __init__(
        self, *, lane: Lane, pack: ModelPack, engine: Callable[[], Awaitable[FaceEngine]]
    ) -> None:
        self._lane = lane
        self._engine = engine
        self.pack = pack

    async def look(self, image: NDArray[np.uint8], *, min_face_px: int) -> Look:
        """Find and assess the faces of a frame, (h, w, 3) uint8 RGB."""
        engine = await self._engine()
        return await self._lane.run(lambda: _look(engine, image, min_face_px))

    async def embed(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed (n, s, s, 3) chips as (n, d) float32 of unit length."""
        return await self._lane.embed(await self._engine(), chips)

    async def run(self, work: Callable[[], T]) -> T:
        """Do any other short work beside the models, such as an encoding."""
        return await self._lane.run(work)


def _look(engine: FaceEngine, image: NDArray[np.uint8], min_face_px: int) -> Look:
    began = time.perf_counter()
    found = engine.detect(image, min_face_px=min_face_px)
    detected = time.perf_counter()
    chips = engine.align(image, found.points)
    qualities = engine.assess(image, found, chips=chips)
    thumb = thumbnail(image)
    return Look(
        detections=found,
        chips=chips,
        qualities=qualities,
        thumb=thumb,
        detect_s=detected - began,
        assess_s=time.perf_counter() - detected,
    )
