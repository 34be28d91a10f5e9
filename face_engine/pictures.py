"""Turns the bytes of a photograph that somebody sent into pixels, and pixels into a JPEG.

The bytes are hostile until shown otherwise: format, size and number of frames are read from the
header and refused before any pixel is decoded. What comes out is upright RGB. Servicers call it in
front of `engine.py`; the sentence of a refusal is meant for the person who sent the picture.
"""

import io
import struct
import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 25_000_000
MAX_SIDE = 16_384
FORMATS = ("JPEG", "PNG", "WEBP")

RejectionReason = Literal[
    "too_large", "not_an_image", "unsupported_format", "truncated", "animated", "too_many_pixels"
]

_SENTENCES: dict[RejectionReason, str] = {
    "too_large": "The picture is larger than 10 MiB; send a smaller one.",
    "not_an_image": "The file is not a picture; send a JPEG, PNG or WebP photograph.",
    "unsupported_format": "The picture has an unsupported format; send a JPEG, PNG or WebP.",
    "truncated": "The picture is damaged or cut off; send the whole file again.",
    "animated": "The picture is an animation; send a single photograph.",
    "too_many_pixels": "The picture has more than 25 million pixels; send a smaller one.",
}


class PictureRejected(Exception):
    """The bytes are not a photograph that will be looked at.

    Attributes:
        reason: one word for programs.
        sentence: one sentence for people.
    """

    def __init__(self, reason: RejectionReason) -> None:
        super().__init__(_SENTENCES[reason])
        self.reason = reason
        self.sentence = _SENTENCES[reason]


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """Return the (h, w, 3) uint8 RGB pixels of a photograph, turned upright by its EXIF data.

    Raises:
        PictureRejected: not a whole, single JPEG, PNG or WebP of at most 10 MiB and 25 million
            pixels, or a side of more than 16,384.
    """
    if len(data) > MAX_BYTES:
        raise PictureRejected("too_large")
    with warnings.catch_warnings():
        # Pillow warns of decompression bombs and of odd metadata; the limits below decide instead.
        warnings.simplefilter("ignore")
        picture = _open(data)
        _require_acceptable(picture)
        try:
            picture.load()
            rgb = _as_rgb(ImageOps.exif_transpose(picture))
        except (OSError, SyntaxError, ValueError, TypeError, struct.error, EOFError):
            raise PictureRejected("truncated") from None
    return np.array(rgb, np.uint8)


def encode_jpeg(image_rgb: NDArray[np.uint8], quality: int = 90) -> bytes:
    """Return (h, w, 3) uint8 RGB as a JPEG without metadata."""
    target = io.BytesIO()
    Image.fromarray(image_rgb, "RGB").save(target, "JPEG", quality=quality)
    return target.getvalue()


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        reason: RejectionReason = "not_an_image"
    except Image.DecompressionBombError:
        reason = "too_many_pixels"
    except (OSError, SyntaxError, ValueError, TypeError, struct.error, EOFError):
        reason = "truncated"
    if reason == "not_an_image" and _starts_as_accepted(data):
        reason = "truncated"
    elif reason == "not_an_image" and _is_other_format(data):
        reason = "unsupported_format"
    raise PictureRejected(reason)


def _starts_as_accepted(data: bytes) -> bool:
    jpeg, png, webp = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF"
    return data.startswith((jpeg, png)) or (data.startswith(webp) and data[8:12] == b"WEBP")


def _is_other_format(data: bytes) -> bool:
    """Tell by its first bytes whether this is a picture of a format that is not accepted."""
    starts = (b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"\x00\x00\x01\x00", b"8BPS", b"\xff\x4f")
    return data.startswith(starts) or data[4:8] == b"ftyp" or data[4:12] == b"jP  \r\n\x87\n"


def _require_acceptable(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PictureRejected("too_many_pixels")
    if width < 1 or height < 1:
        raise PictureRejected("truncated")
    # Phones put previews and depth behind a photograph (MPO); its first frame is the photograph.
    if picture.format != "MPO" and getattr(picture, "n_frames", 1) != 1:
        raise PictureRejected("animated")


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # 16-bit grey: Pillow would clip everything above 255 to white.
        grey = np.asarray(picture, np.float64) / 257.0
        return Image.fromarray(grey.clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        solid = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        solid.alpha_composite(picture.convert("RGBA"))
        return solid.convert("RGB")
    return picture.convert("RGB")
