"""Decoded pictures in full, on the host or on a GPU, from which parts become RGB when asked for.

They implement `picture.py`'s port beside the pictures that libav decodes. Of a picture on the GPU
only the part that somebody wants is copied to the host.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.cuda_runtime import CudaRuntime


class ArrayPicture:
    """A picture on the host: (h, w, 3) uint8 RGB."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels

    @property
    def held(self) -> NDArray[np.uint8]:
        """Return all of it, not copied."""
        return self._pixels

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return self._pixels.shape[1], self._pixels.shape[0]

    def region(self, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.uint8]:
        """Return the part from (x1, y1) up to but without (x2, y2), (h, w, 3) uint8 RGB."""
        left, top, right, bottom = region_within((x1, y1, x2, y2), self.size)
        return np.ascontiguousarray(self._pixels[top:bottom, left:right])

    def scaled(self, longest_side: int) -> NDArray[np.uint8]:
        """Return all of it, (h, w, 3) uint8 RGB, no side longer than that."""
        return _smaller(self._pixels, longest_side)


class CudaPicture:
    """A picture on the GPU; holds its owner's memory as long as it lives.

    Args:
        owner: what the memory belongs to.
        address: of the first of its pixels, RGB without gaps.
        size: width and height in pixels.
    """

    def __init__(
        self, *, owner: object, address: int, size: tuple[int, int], runtime: CudaRuntime
    ) -> None:
        self._owner = owner
        self._address = address
        self._size = size
        self._runtime = runtime

    @property
    def held(self) -> "CudaPicture":
        """Return what says where all of it lies."""
        return self

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        """Say where it lies, as (h, w, 3) uint8; see Numba's description of the protocol."""
        width, height = self._size
        return {
            "shape": (height, width, 3),
            "typestr": "|u1",
            "data": (self._address, False),
            "strides": None,
            "version": 3,
        }

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return self._size

    def region(self, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.uint8]:
        """Return the part from (x1, y1) up to but without (x2, y2), (h, w, 3) uint8 RGB."""
        part = region_within((x1, y1, x2, y2), self._size)
        return self._runtime.copy_region(self._address, self._size[0], part)

    def scaled(self, longest_side: int) -> NDArray[np.uint8]:
        """Return all of it, (h, w, 3) uint8 RGB, no side longer than that."""
        return _smaller(self.region(0, 0, *self._size), longest_side)


def region_within(
    region: tuple[int, int, int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return what of a region lies inside the picture, at least one pixel."""
    x1, y1, x2, y2 = region
    left, top = (min(max(first, 0), side - 1) for first, side in zip((x1, y1), size, strict=True))
    right = min(max(x2, left + 1), size[0])
    bottom = min(max(y2, top + 1), size[1])
    return left, top, right, bottom


def _smaller(pixels: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    scale = longest_side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels.copy()
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
