"""Photographs come in upright RGB; everything else is refused with one reason and one sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from face_engine.pictures import PictureRejected, decode_picture, encode_jpeg
from tests.support.astronaut import astronaut

RED = Image.new("RGB", (60, 40), (200, 10, 10))
GREEN = Image.new("RGB", (60, 40), (10, 200, 10))


def encoded(picture: Image.Image, name: str, **options: object) -> bytes:
    target = io.BytesIO()
    picture.save(target, name, **options)
    return target.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_accepted_formats(name: str) -> None:
    pixels = decode_picture(encoded(RED, name))
    assert pixels.shape == (40, 60, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.mean(axis=(0, 1)) - [200, 10, 10]).max() < 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_an_image"),
        (b"Dear Sir or Madam", "not_an_image"),
        (bytes(10 * 1024 * 1024 + 1), "too_large"),
        (encoded(RED, "GIF"), "unsupported_format"),
        (encoded(RED, "GIF", save_all=True, append_images=[GREEN]), "unsupported_format"),
        (encoded(RED, "BMP"), "unsupported_format"),
        (encoded(RED, "TIFF"), "unsupported_format"),
        (encoded(RED, "WEBP", save_all=True, append_images=[GREEN], duration=50), "animated"),
        (encoded(RED, "PNG", save_all=True, append_images=[GREEN]), "animated"),
        (encoded(RED, "JPEG")[:20], "truncated"),
        (encoded(RED, "JPEG")[:400], "truncated"),
        (encoded(RED, "PNG")[:-30], "truncated"),
        (encoded(RED, "WEBP")[:30], "truncated"),
        (png_header(100, 100), "truncated"),
        (png_header(60_000, 60_000), "too_many_pixels"),
        (png_header(2**31 - 1, 2**31 - 1), "too_many_pixels"),
        (png_header(20_000, 2), "too_many_pixels"),
    ],
)
def test_hostile_bytes_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(PictureRejected) as caught:
        decode_picture(data)
    assert caught.value.reason == reason
    assert caught.value.sentence.endswith(".")


def test_a_huge_header_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(PictureRejected, match="25 million"):
        decode_picture(png_header(16_000, 16_000))


def test_exif_turns_the_picture_upright() -> None:
    left_half_green = RED.copy()
    left_half_green.paste(GREEN.crop((0, 0, 30, 40)), (0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    pixels = decode_picture(encoded(left_half_green, "JPEG", exif=exif, quality=95))
    assert pixels.shape == (60, 40, 3)
    assert pixels[:20, :, 1].mean() > 180, "left comes to the top"
    assert pixels[40:, :, 0].mean() > 180


def test_cmyk_becomes_rgb() -> None:
    picture = Image.new("CMYK", (20, 10), (0, 255, 255, 0))
    red, green, blue = decode_picture(encoded(picture, "JPEG")).mean(axis=(0, 1))
    assert red > 200
    assert max(green, blue) < 80


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    pixels = decode_picture(encoded(Image.fromarray(values), "PNG"))
    assert pixels[..., 0].tolist() == [[0, 100], [200, 255]]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_other_modes_become_rgb(mode: str) -> None:
    assert decode_picture(encoded(RED.convert(mode), "PNG")).shape == (40, 60, 3)


def test_what_shows_through_is_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decode_picture(encoded(clear, "PNG")).min() == 255


def test_a_phones_photograph_with_a_preview_is_one_photograph() -> None:
    data = encoded(RED, "MPO", save_all=True, append_images=[GREEN])
    assert decode_picture(data)[..., 0].mean() > 150


def test_a_jpeg_comes_back_nearly_the_same() -> None:
    photo = astronaut()
    again = decode_picture(encode_jpeg(photo, 95))
    assert again.shape == photo.shape
    assert np.abs(again.astype(int) - photo).mean() < 3


def test_a_jpeg_carries_no_metadata() -> None:
    assert b"Exif" not in encode_jpeg(astronaut())


@settings(max_examples=300)
@given(
    name=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    changes=st.lists(st.tuples(st.integers(0, 799), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 800),
)
def test_changed_bytes_give_pixels_or_a_refusal(
    name: str, changes: list[tuple[int, int]], cut: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = bytearray(encoded(RED, name, exif=exif))
    for at, value in changes:
        if at < len(data):
            data[at] = value
    try:
        pixels = decode_picture(bytes(data[: max(cut, 8)] if cut % 2 else data))
    except PictureRejected:
        return
    assert pixels.ndim == 3
