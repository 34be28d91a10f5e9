"""Looks at photographs: finds their faces and cuts a portrait of each.

One photograph at a time, in one thread, behind a short queue: a 25-megapixel picture takes a
hundred megabytes and a good second. The models are loaded in that same thread, so that whoever asks
meanwhile simply waits. The bytes are hostile until `face_engine.pictures` has let them through.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.pictures import decode_picture, encode_jpeg
from face_engine.values import AnalyzedFace
from service_runtime.errors import ResourceExhausted

MOST_FACES = 100
MOST_WAITING = 8
PORTRAIT_PX = 512
_PORTRAIT_MARGIN = 0.4  # of the face's longer side, on each side of the box: hair and chin


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionalBox:
    """A box inside the picture, as fractions (0 to 1) of its width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhotographedFace:
    """A face of a photograph; ``portrait`` is a JPEG without metadata."""

    analyzed: AnalyzedFace
    box: FractionalBox
    portrait: bytes


class PhotographDesk:
    """Takes photographs one by one.

    Args:
        open_engine: loads the models; called in the thread that works.
        most_waiting: photographs that may wait, the one at work included.
    """

    def __init__(
        self, open_engine: Callable[[], FaceEngine], *, most_waiting: int = MOST_WAITING
    ) -> None:
        self._open_engine = open_engine
        self._most_waiting = most_waiting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="photographs")
        self._engine: FaceEngine | None = None  # the thread's
        self._taken = 0

    async def load(self) -> None:
        """Load the models, before the first photograph needs them; photographs meanwhile wait.

        Raises:
            PackError, AcceleratorUnavailable: the pack cannot be used.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def look_at(self, image: bytes, *, min_face_px: int) -> list[PhotographedFace]:
        """Return the faces of a photograph, the widest first, 100 at most.

        Raises:
            PictureRejected: it is not a photograph that will be looked at.
            ResourceExhausted: ANALYSIS_BUSY, too many wait already.
        """
        if self._taken >= self._most_waiting:
            raise ResourceExhausted(
                "ANALYSIS_BUSY", "Too many photographs are waiting; try again in a moment."
            )
        self._taken += 1
        work = asyncio.ensure_future(
            asyncio.get_running_loop().run_in_executor(
                self._thread, partial(self._look_at, image, min_face_px)
            )
        )
        work.add_done_callback(self._finished)
        # whoever leaves does not make room: the thread has their picture until it is done
        return await asyncio.shield(work)

    def close(self) -> None:
        """Finish the photograph at work, leave the rest, free the models."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _finished(self, work: "asyncio.Future[list[PhotographedFace]]") -> None:
        self._taken -= 1
        if not work.cancelled():
            work.exception()  # seen, also where the caller has left

    def _load(self) -> FaceEngine:
        if self._engine is None:
            self._engine = self._open_engine()
        return self._engine

    def _look_at(self, image: bytes, min_face_px: int) -> list[PhotographedFace]:
        engine = self._load()
        picture = decode_picture(image)
        found = engine.analyze(picture, min_face_px=min_face_px)[:MOST_FACES]
        return [
            PhotographedFace(
                analyzed=face,
                box=fractional_box(face.box, picture.shape),
                portrait=cut_portrait(picture, face.box),
            )
            for face in found
        ]


def fractional_box(box: NDArray[np.float32], shape: tuple[int, ...]) -> FractionalBox:
    """Return a box of x1, y1, x2, y2 pixels, which may reach beyond the picture, as fractions."""
    height, width = shape[:2]
    x1, x2 = np.clip(box[[0, 2]].astype(np.float64) / width, 0, 1)
    y1, y2 = np.clip(box[[1, 3]].astype(np.float64) / height, 0, 1)
    return FractionalBox(
        x=float(x1), y=float(y1), width=float(max(x2 - x1, 0)), height=float(max(y2 - y1, 0))
    )


def cut_portrait(picture: NDArray[np.uint8], box: NDArray[np.float32]) -> bytes:
    """Return a face with a margin as a JPEG without metadata, 512 pixels high or wide at most.

    Args:
        picture: (h, w, 3) uint8 RGB.
        box: (4,) x1, y1, x2, y2 in pixels; may reach beyond the picture.
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in box)
    margin = _PORTRAIT_MARGIN * max(x2 - x1, y2 - y1)
    left = int(np.clip(np.floor(x1 - margin), 0, width - 1))
    top = int(np.clip(np.floor(y1 - margin), 0, height - 1))
    right = int(np.clip(np.ceil(x2 + margin), left + 1, width))
    bottom = int(np.clip(np.ceil(y2 + margin), top + 1, height))
    portrait = np.ascontiguousarray(picture[top:bottom, left:right])
    longest = max(portrait.shape[:2])
    if longest > PORTRAIT_PX:
        scale = PORTRAIT_PX / longest
        size = (
            max(1, round(portrait.shape[1] * scale)),
            max(1, round(portrait.shape[0] * scale)),
        )
        portrait = cv2.resize(portrait, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return encode_jpeg(portrait)
