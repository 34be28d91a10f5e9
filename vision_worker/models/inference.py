"""What a camera asks of the models, done in the thread that all cameras share.

Frames and chips queue up in the camera's lane (`inference_thread.py`); asyncio awaits the results.
Every frame is looked at, on its small image. What costs more happens for few faces and at the
camera's own resolution: `study` cuts chips and assesses them, `take` embeds the chosen and makes
their crops. `pipeline.py` calls it.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine, at_least
from face_engine.packs import ModelPack
from face_engine.values import Detections, Quality, Verdict
from vision_worker.decode.frame import Frame
from vision_worker.decode.picture import Picture
from vision_worker.models.inference_thread import Lane
from vision_worker.sightings.context_picture import context_pictures
from vision_worker.sightings.crops import crop_face
from vision_worker.tracking.shot_cut import thumbnail

T = TypeVar("T")

MEASURED_AT = 1280
"""Longest side of the picture in which the lowest face is measured; smaller ones count as is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What is in one frame.

    Attributes:
        detections: the n faces, in pixels of the frame's picture.
        outlines: the best score and verdict that each can still get.
        thumb: (36, 64) uint8; the frame, small and grey.
        detect_s: seconds spent on detection.
    """

    detections: Detections
    outlines: Sequence[tuple[float, Verdict]]
    thumb: NDArray[np.uint8]
    detect_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """Some faces of a frame in detail.

    Attributes:
        chips: (n, s, s, 3) uint8 RGB; the aligned faces.
        qualities: one a face.
        seconds: time spent.
    """

    chips: NDArray[np.uint8]
    qualities: Sequence[Quality]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shots:
    """Some faces of a frame as they are kept.

    Attributes:
        embeddings: (n, d) float32 of unit length.
        crops: one JPEG a face.
        contexts: one JPEG a face, of the whole picture.
        embed_s: seconds spent on embedding.
        crop_s: seconds spent on crops and contexts.
    """

    embeddings: NDArray[np.float32]
    crops: Sequence[bytes]
    contexts: Sequence[bytes]
    embed_s: float
    crop_s: float


class CameraInference:
    """The models as one camera sees them: its lane of the thread, its share of an engine.

    Args:
        lane: Where its work queues up.
        pack: Pack that the models belong to.
        working_side: Longest side of the images that `look` wants.
        engine: Gives the models, loaded if need be; what it raises passes through.
    """

    def __init__(
        self,
        *,
        lane: Lane,
        pack: ModelPack,
        working_side: int,
        engine: Callable[[], Awaitable[FaceEngine]],
    ) -> None:
        self._lane = lane
        self._engine = engine
        self.pack = pack
        self.working_side = working_side

    async def look(self, frame: Frame, *, min_face_px: int) -> Look:
        """Find the faces of a frame.

        Args:
            frame: its image is searched.
            min_face_px: lower faces are left out, in pixels of the frame's picture, scaled down to
                `MEASURED_AT` where it is larger.
        """
        engine = await self._engine()
        return await self._lane.run(lambda: _look(engine, frame, min_face_px))

    async def study(self, picture: Picture, faces: Detections) -> Study:
        """Cut and assess some faces of a picture."""
        engine = await self._engine()
        return await self._lane.run(lambda: _study(engine, picture, faces))

    async def take(
        self,
        frame: Frame,
        boxes: NDArray[np.float32],
        chips: NDArray[np.uint8],
        *,
        seen: NDArray[np.float32],
    ) -> Shots:
        """Embed faces, and cut them out of their picture.

        Args:
            frame: where they are.
            boxes: (n, 4) xyxy in pixels of the frame's picture.
            chips: (n, s, s, 3) uint8 RGB.
            seen: (m, 4) boxes of all faces of the picture.
        """

        def crop(embeddings: NDArray[np.float32], embed_s: float) -> Shots:
            began = time.perf_counter()
            crops = [crop_face(frame.picture, box) for box in boxes]
            contexts = context_pictures(frame, boxes, seen)
            return Shots(
                embeddings=embeddings,
                crops=crops,
                contexts=contexts,
                embed_s=embed_s,
                crop_s=time.perf_counter() - began,
            )

        return await self._lane.embed(await self._engine(), chips, then=crop)

    async def run(self, work: Callable[[], T]) -> T:
        """Do any other short work beside the models, such as an encoding."""
        return await self._lane.run(work)


def _look(engine: FaceEngine, frame: Frame, min_face_px: int) -> Look:
    began = time.perf_counter()
    size = frame.picture.size
    smallest = min_face_px * max(frame.image.shape) / min(max(size), MEASURED_AT)
    found = _enlarged(_find(engine, frame, smallest), frame.scale)
    detected = time.perf_counter()
    return Look(
        detections=found,
        outlines=engine.assess_outlines(found, size),
        thumb=thumbnail(frame.image),
        detect_s=detected - began,
    )


def _study(engine: FaceEngine, picture: Picture, faces: Detections) -> Study:
    began = time.perf_counter()
    chips = np.concatenate([_chip(engine, picture, points) for points in faces.points])
    qualities = engine.assess(faces, chips, picture.size)
    return Study(chips=chips, qualities=qualities, seconds=time.perf_counter() - began)


def _chip(engine: FaceEngine, picture: Picture, points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the (1, s, s, 3) chip of a face, from the part of the picture that it covers."""
    x1, y1, x2, y2 = engine.footprint(points)
    width, height = picture.size
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    part = picture.region(x1, y1, x2, y2)
    return engine.align(part, points[None] - np.array([x1, y1], np.float32))


def _find(engine: FaceEngine, frame: Frame, smallest: float) -> Detections:
    """Return the faces of a frame's image, from the batch in which it lies ready, if any."""
    found = frame.prepared.found(engine) if frame.prepared is not None else None
    if found is not None:
        return at_least(found, smallest)
    return engine.detect(frame.image, min_face_px=smallest)


def _enlarged(found: Detections, scale: tuple[float, float]) -> Detections:
    """Return the faces of a frame's image in pixels of its picture."""
    factor = np.array(scale, np.float32)
    return Detections(
        boxes=found.boxes * np.tile(factor, 2), points=found.points * factor, scores=found.scores
    )
