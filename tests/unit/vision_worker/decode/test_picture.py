"""A part of a picture is what the whole would show there, whatever the camera's format."""

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tests.support.astronaut import astronaut
from tests.support.pictures import decoded_picture
from vision_worker.decode.picture import AvPicture

_FORMATS = (
    *("yuv420p", "yuvj420p", "nv12", "yuv422p", "yuvj422p", "yuv444p", "yuv411p"),
    *("yuv420p10le", "p010le", "gray", "gray10le", "gbrp"),
)
_CUT_FROM_THE_WHOLE = ("yuyv422", "rgb24", "bgra", "rgb565le", "x2rgb10le", "monow")
_PARTS = ((0, 0, 512, 512), (3, 5, 4, 6), (17, 101, 204, 303), (401, 400, 512, 511))


@pytest.mark.parametrize("pixel_format", [*_FORMATS, *_CUT_FROM_THE_WHOLE])
def test_a_part_is_exactly_that_part_of_the_whole(pixel_format: str) -> None:
    picture = decoded_picture(astronaut(), pixel_format)
    whole = picture.scaled(512)
    for x1, y1, x2, y2 in _PARTS:
        assert (picture.region(x1, y1, x2, y2) == whole[y1:y2, x1:x2]).all()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv422p10le", "gray"])
def test_a_picture_of_odd_size_has_its_parts(pixel_format: str) -> None:
    odd = astronaut()[:331, :477]
    picture = decoded_picture(odd, pixel_format)
    assert picture.size == (477, 331)
    whole = picture.region(0, 0, 477, 331)
    part = picture.region(301, 151, 477, 331)
    assert part.shape == (180, 176, 3)
    # libav converts odd sizes by another way, which places colours a little differently
    assert np.abs(part.astype(int) - whole[151:, 301:]).mean() < 1


@pytest.mark.parametrize(
    ("asked", "shape"),
    [
        ((-20, -10, 30, 40), (40, 30)),
        ((500, 500, 900, 900), (12, 12)),
        ((600, 700, 650, 750), (1, 1)),
        ((-9, -9, -3, -3), (1, 1)),
        ((50, 60, 50, 60), (1, 1)),
    ],
)
def test_what_lies_outside_is_left_out(
    asked: tuple[int, int, int, int], shape: tuple[int, int]
) -> None:
    part = decoded_picture(astronaut(), "yuv420p").region(*asked)
    assert part.shape == (*shape, 3)
    assert part.flags["C_CONTIGUOUS"]


def plain(colour: tuple[int, int, int], size: tuple[int, int], **told: int) -> AvPicture:
    """Return a picture of one colour in Y, U and V, with the given tags."""
    frame = VideoFrame(*size, "yuv420p")
    for plane, value in zip(frame.planes, colour, strict=True):
        np.frombuffer(memoryview(plane), np.uint8)[:] = value
    for name, value in told.items():
        setattr(frame, name, value)
    return AvPicture(frame)


_BT709, _BT601 = 1, 6
_LIMITED, _FULL = 1, 2


@pytest.mark.parametrize(
    ("told", "size", "expected"),
    [
        ({"colorspace": _BT709}, (64, 64), (250, 91, 41)),
        ({"colorspace": _BT601}, (1280, 720), (236, 77, 44)),
        ({"colorspace": _BT709, "color_range": _FULL}, (64, 64), (233, 93, 49)),
        ({"colorspace": _BT601, "color_range": _FULL}, (64, 64), (221, 82, 53)),
        ({"colorspace": _BT601, "color_range": _LIMITED}, (64, 64), (236, 77, 44)),
        ({}, (640, 480), (236, 77, 44)),
        ({}, (1280, 720), (250, 91, 41)),
    ],
)
def test_colours_mean_what_the_stream_says_or_its_size_suggests(
    told: dict[str, int], size: tuple[int, int], expected: tuple[int, int, int]
) -> None:
    picture = plain((120, 90, 200), size, **told)
    for image in (picture.region(8, 8, 24, 24), picture.scaled(32)):
        assert np.abs(image.reshape(-1, 3).mean(axis=0) - expected).max() < 4  # libav rounds


def test_a_scaled_picture_is_never_larger_than_it_was() -> None:
    picture = decoded_picture(astronaut()[:256], "yuv420p")
    assert picture.scaled(128).shape == (64, 128, 3)
    assert picture.scaled(2000).shape == (256, 512, 3)
    small: NDArray[np.uint8] = picture.scaled(128)
    assert abs(float(small.mean()) - float(astronaut()[:256].mean())) < 3
