"""The whole picture in which a shot was seen, small, so that a person can judge where it was.

It belongs to one face, and goes when that face's person is erased. So every other face that was
found in it is made unrecognisable: the erasure of a person must not leave them in the background of
somebody else's sighting. `inference.py` makes one for each shot that is kept.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.pictures import encode_jpeg
from vision_worker.decode.frame import Frame

MAX_BYTES = 96 * 1024
_LONGEST_SIDE = 640
_QUALITIES = (80, 65, 45, 25)
_TILES = 4  # that are left of a covered face, across and down
_AROUND = 0.25  # of the box's sides, covered on each side, too


def context_pictures(
    frame: Frame, boxes: NDArray[np.float32], seen: NDArray[np.float32]
) -> list[bytes]:
    """Return a JPEG of the whole picture for each face, at most 640 pixels a side and 96 KiB.

    A box's fractions of the picture hold for it, too.

    Args:
        frame: where the faces are; its image is used where it is of the right size already.
        boxes: (n, 4) xyxy in pixels of the frame's picture; the faces.
        seen: (m, 4) likewise; all faces of the picture, these among them.
    """
    small = frame.image
    if max(small.shape) > _LONGEST_SIDE:
        small = frame.picture.scaled(_LONGEST_SIDE)
    scale = np.array([small.shape[1], small.shape[0]]) / np.array(frame.picture.size)
    to_small = np.tile(scale, 2)
    return [_encoded(_shown(small, box * to_small, _others(box, seen) * to_small)) for box in boxes]


def _others(box: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(seen[(seen != box).any(axis=1)], np.float32)


def _shown(
    small: NDArray[np.uint8], own: NDArray[np.floating], others: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Return the picture with nobody to be recognised but the one."""
    if not len(others):
        return small
    shown = small.copy()
    for box in others:
        sides = np.tile(box[2:] - box[:2], 2)
        left, top, right, bottom = _within(box + sides * _AROUND * [-1, -1, 1, 1], small.shape)
        part = shown[top:bottom, left:right]
        tiles = cv2.resize(part, (_TILES, _TILES), interpolation=cv2.INTER_AREA)
        shown[top:bottom, left:right] = cv2.resize(
            tiles, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST
        )
    left, top, right, bottom = _within(own, small.shape)
    shown[top:bottom, left:right] = small[top:bottom, left:right]
    return shown


def _within(box: NDArray[np.floating], shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return a box in whole pixels of a picture; at least one."""
    height, width = shape[:2]
    left, top = int(np.clip(box[0], 0, width - 1)), int(np.clip(box[1], 0, height - 1))
    right = int(np.clip(np.ceil(box[2]), left + 1, width))
    bottom = int(np.clip(np.ceil(box[3]), top + 1, height))
    return left, top, right, bottom


def _encoded(picture: NDArray[np.uint8]) -> bytes:
    jpeg = b""
    for quality in _QUALITIES:
        jpeg = encode_jpeg(picture, quality)
        if len(jpeg) <= MAX_BYTES:
            break
    return jpeg
