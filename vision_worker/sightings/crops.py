"""Cuts the face of a shot out of its picture: aligned for the models, and as a JPEG for people."""

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.pictures import encode_jpeg
from vision_worker.decode.picture import Picture

MAX_BYTES = 96 * 1024
_CONTEXT = 0.45  # of the box's sides, added on each side
_LONGEST_SIDE = 320
_QUALITIES = (88, 75, 60, 40)


def crop_face(picture: Picture, box: NDArray[np.float32]) -> bytes:
    """Return the surroundings of a face as JPEG, at most 320 pixels a side and 96 KiB.

    Args:
        picture: where the face is.
        box: (4,) xyxy in pixels of the picture; may reach beyond it.
    """
    width, height = picture.size
    x1, y1, x2, y2 = (float(value) for value in box)
    pad_x, pad_y = (x2 - x1) * _CONTEXT, (y2 - y1) * _CONTEXT
    left, top = int(np.clip(x1 - pad_x, 0, width - 1)), int(np.clip(y1 - pad_y, 0, height - 1))
    right = int(np.clip(np.ceil(x2 + pad_x), left + 1, width))
    bottom = int(np.clip(np.ceil(y2 + pad_y), top + 1, height))
    part = picture.region(left, top, right, bottom)
    scale = _LONGEST_SIDE / max(part.shape[:2])
    if scale < 1:
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    jpeg = b""
    for quality in _QUALITIES:
        jpeg = encode_jpeg(part, quality)
        if len(jpeg) <= MAX_BYTES:
            break
    return jpeg


def as_fractions(
    box: NDArray[np.float32], picture_size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return x, y, width, height as fractions of the picture, cut at its rim.

    Args:
        box: (4,) xyxy in pixels.
        picture_size: width and height in pixels.
    """
    width, height = picture_size
    x1, x2 = (float(np.clip(value / width, 0.0, 1.0)) for value in (box[0], box[2]))
    y1, y2 = (float(np.clip(value / height, 0.0, 1.0)) for value in (box[1], box[3]))
    return x1, y1, x2 - x1, y2 - y1
