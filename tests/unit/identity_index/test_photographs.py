"""Photographs: one at a time, behind a bounded queue; boxes and portraits inside the picture."""

import asyncio
import io
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from PIL import Image

from face_engine.engine import FaceEngine, open_engine
from face_engine.pictures import PictureRejected, encode_jpeg
from face_engine.preparation import PreparedPack
from identity_index.photographs import PhotographDesk, cut_portrait, fractional_box
from service_runtime.errors import ResourceExhausted
from tests.support.astronaut import astronaut, skimage_data

_BLANK = encode_jpeg(np.full((64, 64, 3), 128, np.uint8))
_coordinates = st.floats(-300, 900, width=32)


@given(
    corners=st_numpy.arrays(np.float32, 4, elements=_coordinates),
    width=st.integers(1, 600),
    height=st.integers(1, 600),
)
def test_boxes_become_fractions_inside_the_picture(
    corners: np.ndarray[tuple[int], np.dtype[np.float32]], width: int, height: int
) -> None:
    box = fractional_box(corners, (height, width, 3))
    for start, extent in ((box.x, box.width), (box.y, box.height)):
        assert 0 <= start <= 1
        assert extent >= 0
        assert start + extent <= 1 + 1e-9


def test_a_box_is_measured_against_its_own_side() -> None:
    box = fractional_box(np.array([20, 30, 60, 90], np.float32), (100, 200, 3))
    assert (box.x, box.y, box.width, box.height) == pytest.approx((0.1, 0.3, 0.2, 0.6))


@given(
    corners=st.tuples(_coordinates, _coordinates, st.floats(1, 400), st.floats(1, 400)),
    width=st.integers(1, 1200),
    height=st.integers(1, 1200),
)
def test_every_box_gives_a_portrait_of_512_pixels_at_most(
    corners: tuple[float, float, float, float], width: int, height: int
) -> None:
    x, y, wide, high = corners
    picture = np.zeros((height, width, 3), np.uint8)
    jpeg = cut_portrait(picture, np.array([x, y, x + wide, y + high], np.float32))
    with Image.open(io.BytesIO(jpeg)) as portrait:
        assert portrait.format == "JPEG"
        assert 1 <= min(portrait.size) <= max(portrait.size) <= 512


def test_a_portrait_shows_the_face_with_a_margin_and_without_distortion() -> None:
    picture = np.zeros((1000, 2000, 3), np.uint8)
    picture[300:700, 800:1100] = (0, 255, 0)
    jpeg = cut_portrait(picture, np.array([800, 300, 1100, 700], np.float32))
    portrait = np.asarray(Image.open(io.BytesIO(jpeg)))
    # 400 + 2 x 160 high and 300 + 2 x 160 wide, scaled to 512 high
    assert portrait.shape[:2] == (512, round(620 * 512 / 720))
    green = portrait[:, :, 1] > 128
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    scale = 512 / 720
    assert rows[0] == pytest.approx(160 * scale, abs=2)
    assert rows[-1] == pytest.approx(560 * scale, abs=2)
    assert columns[0] == pytest.approx(160 * scale, abs=2)
    assert columns[-1] == pytest.approx(460 * scale, abs=2)


def test_a_small_face_is_not_blown_up() -> None:
    jpeg = cut_portrait(
        np.zeros((500, 500, 3), np.uint8), np.array([200, 200, 240, 250], np.float32)
    )
    with Image.open(io.BytesIO(jpeg)) as portrait:
        assert portrait.size == (80, 90)


async def test_a_photograph_is_looked_at(builtin_engine: FaceEngine) -> None:
    desk = PhotographDesk(lambda: builtin_engine)
    (face,) = await desk.look_at(skimage_data("astronaut.png").read_bytes(), min_face_px=20)
    (expected,) = builtin_engine.analyze(astronaut(), min_face_px=20)
    np.testing.assert_array_equal(face.analyzed.embedding, expected.embedding)
    x1, y1, x2, y2 = expected.box / 512
    assert (face.box.x, face.box.y) == pytest.approx((x1, y1))
    assert (face.box.width, face.box.height) == pytest.approx((x2 - x1, y2 - y1), rel=1e-5)
    with Image.open(io.BytesIO(face.portrait)) as portrait:
        again = builtin_engine.analyze(np.asarray(portrait.convert("RGB")))
    assert len(again) == 1


async def test_photographs_wait_while_the_models_load_and_only_so_many(
    builtin_pack: PreparedPack,
) -> None:
    may_load = threading.Event()

    def load_slowly() -> FaceEngine:
        assert may_load.wait(60)
        return open_engine(builtin_pack.pack.pack_id, accelerator="cpu")

    desk = PhotographDesk(load_slowly, most_waiting=3)
    loading = asyncio.create_task(desk.load())
    waiting = [asyncio.create_task(desk.look_at(_BLANK, min_face_px=20)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted) as refused:
        await desk.look_at(_BLANK, min_face_px=20)
    assert refused.value.reason == "ANALYSIS_BUSY"
    waiting[2].cancel()  # whoever leaves makes no room: their picture is still held
    await asyncio.gather(waiting[2], return_exceptions=True)
    with pytest.raises(ResourceExhausted):
        await desk.look_at(_BLANK, min_face_px=20)
    may_load.set()
    await loading
    assert await asyncio.gather(*waiting[:2]) == [[], []]
    assert await desk.look_at(_BLANK, min_face_px=20) == []
    desk.close()


async def test_a_refused_picture_leaves_the_desk_working(builtin_pack: PreparedPack) -> None:
    desk = PhotographDesk(lambda: open_engine(builtin_pack.pack.pack_id, accelerator="cpu"))
    for _ in range(20):
        with pytest.raises(PictureRejected):
            await desk.look_at(b"no picture", min_face_px=20)
    assert await desk.look_at(_BLANK, min_face_px=20) == []
    desk.close()
