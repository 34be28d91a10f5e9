"""Pictures that somebody sends: hostile, damaged and merely unusual ones. Part of the row "media".

The bytes come from the one photograph that the project uses freely, changed by the dice.
"""

import io
import random
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

from face_engine.engine import FaceEngine
from face_engine.pictures import PictureRejected, decode_picture
from tests.support.astronaut import astronaut

MOST_SECONDS = 1.0
MOST_BYTES = 64 << 20
_ENDLESS = (65_500, 65_500)


def encoded(photo: NDArray[np.uint8], kind: str, mode: str = "RGB") -> bytes:
    target = io.BytesIO()
    Image.fromarray(photo, "RGB").convert(mode).save(target, kind)
    return target.getvalue()


def refused(data: bytes, *reasons: str) -> None:
    """Refuse bytes for one of these reasons, without spending time or memory on them."""
    process, began = psutil.Process(), time.perf_counter()
    before = process.memory_info().rss
    with pytest.raises(PictureRejected) as caught:
        decode_picture(data)
    assert caught.value.reason in reasons, f"{caught.value.reason} in place of {reasons}"
    assert time.perf_counter() - began < MOST_SECONDS
    assert process.memory_info().rss - before < MOST_BYTES


def truncated_pictures(dice: random.Random, _engine: FaceEngine) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = encoded(astronaut(), kind)
        # behind the first bytes, which say what it is, and before the last, which few miss
        refused(whole[: dice.randrange(64, len(whole) * 9 // 10)], "truncated")


def endless_pictures(dice: random.Random, _engine: FaceEngine) -> None:
    """Claim 65,500 x 65,500 pixels in the header of a small file."""
    width, height = _ENDLESS
    photo = astronaut()[: dice.randrange(16, 200)]
    png = bytearray(encoded(photo, "PNG"))
    png[16:24] = struct.pack(">II", width, height)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    jpeg = bytearray(encoded(photo, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    webp = bytearray(encoded(photo, "WEBP"))
    at = webp.index(b"\x9d\x01\x2a") + 3
    webp[at : at + 4] = struct.pack("<HH", 16_383, 16_383)
    for data in (png, jpeg, webp):
        refused(bytes(data), "too_many_pixels")


def animated_pictures(dice: random.Random, _engine: FaceEngine) -> None:
    photos = [Image.fromarray(np.roll(astronaut(), dice.randrange(512), 1)) for _ in range(3)]
    for kind in ("WEBP", "PNG"):
        target = io.BytesIO()
        photos[0].save(target, kind, save_all=True, append_images=photos[1:])
        refused(target.getvalue(), "animated")


def noise_in_place_of_a_picture(dice: random.Random, _engine: FaceEngine) -> None:
    noise = dice.randbytes(dice.randrange(1, 4096))
    refused(noise, "not_an_image", "truncated", "unsupported_format")
    for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"):
        refused(start + noise, "truncated")


def unusual_pictures(dice: random.Random, engine: FaceEngine) -> None:
    """Find the same face in a print's colours, in 16 bits of grey, and under a transparent hole."""
    photo = astronaut()
    sixteen = np.asarray(Image.fromarray(photo).convert("L"), np.uint16) * 257
    grey = io.BytesIO()
    Image.fromarray(sixteen).save(grey, "PNG")
    alpha = np.full((*photo.shape[:2], 1), 255, np.uint8)
    alpha[400 + dice.randrange(100) :] = 0
    hole = io.BytesIO()
    Image.fromarray(np.concatenate([photo, alpha], axis=2), "RGBA").save(hole, "PNG")
    plain = engine.detect(photo, min_face_px=40).boxes
    for data in (encoded(photo, "JPEG", "CMYK"), grey.getvalue(), hole.getvalue()):
        pixels = decode_picture(data)
        assert pixels.shape == photo.shape
        found = engine.detect(pixels, min_face_px=40).boxes
        assert len(found) == len(plain) == 1
        assert np.abs(found - plain).max() < 12


PICTURES: tuple[Callable[[random.Random, FaceEngine], None], ...] = (
    truncated_pictures,
    endless_pictures,
    animated_pictures,
    noise_in_place_of_a_picture,
    unusual_pictures,
)
