"""The decoded picture of a sampled frame, in full: parts of it become RGB when somebody needs them.

The detector sees a small copy (`Frame.image`), so of most frames nothing else is ever converted.
Chips, crops and pictures for people come from here, at the resolution of the camera. A part is cut
out of the decoder's planes and converted alone, by the very conversion that the whole would get.
"""

import threading
from typing import Protocol

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

_GRID = 4  # no format shares a colour among more pixels than that, across or down
_HD_LINES = 720
_BT709, _UNTOLD = 1, 2  # libav's AVCOL_SPC_*


class Picture(Protocol):
    """A picture from which parts can be had, from any thread."""

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        ...

    def region(self, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.uint8]:
        """Return the part from (x1, y1) up to but without (x2, y2), (h, w, 3) uint8 RGB.

        What lies outside the picture is left out; at least one pixel comes back.
        """
        ...

    def scaled(self, longest_side: int) -> NDArray[np.uint8]:
        """Return all of it, (h, w, 3) uint8 RGB, no side longer than that."""
        ...


class AvPicture:
    """A picture as libav decoded it; holds the decoder's buffer as long as it lives."""

    def __init__(self, frame: VideoFrame) -> None:
        if frame.colorspace == _UNTOLD and frame.height >= _HD_LINES:
            frame.colorspace = _BT709  # as players guess it; libav takes the old matrix for all
        self._frame = frame
        self._colours = frame.colorspace, frame.color_range
        self._converting = threading.Lock()  # libav writes to the frame that it converts

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return self._frame.width, self._frame.height

    def region(self, x1: int, y1: int, x2: int, y2: int) -> NDArray[np.uint8]:
        """Return the part from (x1, y1) up to but without (x2, y2), (h, w, 3) uint8 RGB."""
        width, height = self.size
        left, right = _within(x1, x2, width)
        top, bottom = _within(y1, y2, height)
        if not _can_be_cut(self._frame):
            with self._converting:
                rgb = _to_rgb(VideoReformatter(), self._frame)
            return np.ascontiguousarray(rgb[top:bottom, left:right])
        x, y = (max(0, start // _GRID - 1) * _GRID for start in (left, top))
        x_end, y_end = ((-(-end // _GRID) + 1) * _GRID for end in (right, bottom))
        part = _cut(self._frame, x, y, min(x_end, width) - x, min(y_end, height) - y)
        part.colorspace, part.color_range = self._colours
        rgb = _to_rgb(VideoReformatter(), part)
        return np.ascontiguousarray(rgb[top - y : bottom - y, left - x : right - x])

    def scaled(self, longest_side: int) -> NDArray[np.uint8]:
        """Return all of it, (h, w, 3) uint8 RGB, no side longer than that."""
        return self.scaled_by(VideoReformatter(), longest_side, "AREA")

    def scaled_by(
        self, reformatter: VideoReformatter, longest_side: int, interpolation: str
    ) -> NDArray[np.uint8]:
        """Return all of it by a given interpolation, with a reformatter that is kept for many."""
        width, height = self.size
        scale = min(1.0, longest_side / max(width, height))
        size = max(2, round(width * scale)), max(2, round(height * scale))
        with self._converting:
            return _to_rgb(reformatter, self._frame, size=size, interpolation=interpolation)


def _to_rgb(
    reformatter: VideoReformatter,
    frame: VideoFrame,
    *,
    size: tuple[int, int] | None = None,
    interpolation: str | None = None,
) -> NDArray[np.uint8]:
    width, height = size or (frame.width, frame.height)
    scaled = reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        interpolation=interpolation,
        threads=1,
    )
    return np.ascontiguousarray(scaled.to_ndarray(), dtype=np.uint8)


def _within(first: int, last: int, size: int) -> tuple[int, int]:
    low = min(max(first, 0), size - 1)
    return low, min(max(last, low + 1), size)


def _can_be_cut(frame: VideoFrame) -> bool:
    """Return whether rows of whole bytes, running downwards, hold one or two samples a pixel."""
    shape = frame.format
    if shape.has_palette or shape.is_bit_stream or any(p.line_size < 0 for p in frame.planes):
        return False
    places = [component.plane for component in shape.components]
    whole = all(component.bits >= 8 for component in shape.components)
    return whole and all(places.count(place) <= 2 for place in places)


def _cut(frame: VideoFrame, x: int, y: int, width: int, height: int) -> VideoFrame:
    """Copy a part into a frame of its own; x and y are multiples of the grid."""
    name = frame.format.name
    part = VideoFrame(width, height, name)
    cell = VideoFormat(name, _GRID, _GRID)
    for at, (source, target) in enumerate(zip(frame.planes, part.planes, strict=True)):
        rows, row_bytes = _extent(cell, at)
        part_rows, part_bytes = _extent(part.format, at)
        top, begin = y // _GRID * rows, x // _GRID * row_bytes
        given = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)
        taken = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
        taken[:part_rows, :part_bytes] = given[top : top + part_rows, begin : begin + part_bytes]
    return part


def _extent(shape: VideoFormat, plane: int) -> tuple[int, int]:
    """Return the rows of a plane and the bytes of a row."""
    within = [component for component in shape.components if component.plane == plane]
    row_bytes = sum(component.width * (2 if component.bits > 8 else 1) for component in within)
    return max(component.height for component in within), row_bytes
