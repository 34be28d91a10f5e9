"""Draws a scene and makes a JPEG of it. Pure.

Colours say what was decided and words say it again, for those who cannot tell the colours apart.
Everything is drawn at the size in which it is looked at, so that lines and letters stay readable in
each. Letters come from DejaVu Sans where the machine has it, else from Pillow, which has the Latin
ones alone.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vision_worker.looking.scene import DrawnPicture, Form, Scene, ShownFace, Zone

MAX_BYTES = 3 * 1024 * 1024
_QUALITIES = (80, 60, 40, 20)

Colour = tuple[int, int, int]
_MATCH: Colour = (28, 138, 62)
_REVIEW: Colour = (255, 179, 0)
_UNKNOWN: Colour = (25, 118, 210)
_UNDECIDED: Colour = (150, 150, 150)
_ZONE: Colour = (0, 229, 255)
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_COLOURS = {"match": _MATCH, "review": _REVIEW, "unknown": _UNKNOWN, None: _UNDECIDED}
_LIGHT = frozenset({_REVIEW, _ZONE})  # these carry dark letters


def render(scene: Scene, form: Form) -> DrawnPicture:
    """Return the picture of a scene, at most as large as wanted and never larger than it was."""
    image = scene.frame.picture.scaled(form.longest_side)
    if image.base is not None:
        image = image.copy()  # it may be the frame's own pixels, which others read
    if form.annotated:
        _annotate(image, scene)
    if scene.notice:
        _say_notice(image, scene.notice)
    height, width = image.shape[:2]
    return DrawnPicture(
        jpeg=_encode(image),
        captured_at=scene.frame.captured_at,
        width=width,
        height=height,
        live=not scene.notice,
    )


def _annotate(image: NDArray[np.uint8], scene: Scene) -> None:
    height, width = image.shape[:2]
    line = max(2, round(max(height, width) / 480))
    letters = letter_height(width, height)
    for zone in scene.zones:
        _draw_zone(image, zone, line, letters)
    for face in scene.faces:
        _draw_face(image, face, line, letters)
    clock = scene.frame.captured_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    _write(image, clock, (line * 3, height - line * 3), letters, _BLACK, above=True)


def letter_height(width: int, height: int) -> int:
    """Return the height of letters, in pixels, that is readable in a picture of this size."""
    return max(11, round(max(width, height) / 52))


def _draw_zone(image: NDArray[np.uint8], zone: Zone, line: int, letters: int) -> None:
    height, width = image.shape[:2]
    corners = np.array([(x * (width - 1), y * (height - 1)) for x, y in zone.polygon])
    outline = corners.round().astype(np.int32)
    left, top = outline.min(axis=0)
    right, bottom = outline.max(axis=0) + 1
    part = image[top:bottom, left:right]
    tinted = part.copy()
    cv2.fillPoly(tinted, [outline - (left, top)], _ZONE)
    cv2.addWeighted(tinted, 0.14, part, 0.86, 0, dst=part)
    cv2.polylines(image, [outline], isClosed=True, color=_ZONE, thickness=line)
    if zone.name:
        at = outline[int(np.argmin(outline.sum(axis=1)))]
        _write(image, zone.name, (int(at[0]), int(at[1])), letters, _ZONE, above=False)


def _draw_face(image: NDArray[np.uint8], face: ShownFace, line: int, letters: int) -> None:
    height, width = image.shape[:2]
    x, y, w, h = face.box
    left, top = round(x * width), round(y * height)
    right, bottom = round((x + w) * width), round((y + h) * height)
    colour = _COLOURS[face.decision]
    # a dark rim keeps the line visible on a bright wall
    cv2.rectangle(image, (left, top), (right, bottom), _BLACK, line + 2)
    cv2.rectangle(image, (left, top), (right, bottom), colour, line)
    _draw_quality(image, face.quality, (left, right, bottom), line, colour)
    label = label_of(face)
    if label:
        _write(image, label, (left - line // 2, top), letters, colour, above=True)


def label_of(face: ShownFace) -> str:
    """Return what is written at a face; nothing before there is a decision."""
    score = "" if face.score is None else f"  {face.score:.2f}"
    match face.decision:
        case "match":
            return f"{face.name or 'known person'}{score}"
        case "review":
            return f"{face.name or 'somebody known'}?{score}"
        case "unknown":
            return "unknown"
        case None:
            return ""


def _draw_quality(
    image: NDArray[np.uint8],
    quality: float,
    sides: tuple[int, int, int],
    line: int,
    colour: Colour,
) -> None:
    """Draw how usable this view is, as a bar below the box: the fuller, the better."""
    left, right, bottom = sides
    top, thick = bottom + line * 2, line * 2
    filled = left + round((right - left) * min(max(quality, 0.0), 1.0))
    cv2.rectangle(image, (left - 1, top - 1), (right + 1, top + thick + 1), _BLACK, -1)
    cv2.rectangle(image, (left, top), (filled, top + thick), colour, -1)


def _say_notice(image: NDArray[np.uint8], notice: str) -> None:
    """Make plain that this is no longer what the camera shows."""
    np.multiply(image, 0.45, out=image, casting="unsafe")
    height, width = image.shape[:2]
    letters = letter_height(width, height)
    mask = _letters(notice, letters, width - 4 * letters)
    at = (max(0, (width - mask.shape[1]) // 2), max(0, (height - mask.shape[0]) // 2))
    _stamp(image, mask, at, _WHITE)


def _write(
    image: NDArray[np.uint8],
    text: str,
    corner: tuple[int, int],
    letters: int,
    colour: Colour,
    *,
    above: bool,
) -> None:
    """Write a text on a plate of the colour, whose left lower (or upper) corner is told.

    It is moved inside where it would leave the picture.
    """
    height, width = image.shape[:2]
    pad = max(2, letters // 4)
    mask = _letters(text, letters, width // 2 - 2 * pad)
    plate_w, plate_h = mask.shape[1] + 2 * pad, mask.shape[0] + 2 * pad
    left = min(max(corner[0], 0), max(0, width - plate_w))
    top = min(max(corner[1] - (plate_h if above else 0), 0), max(0, height - plate_h))
    image[top : top + plate_h, left : left + plate_w] = colour
    _stamp(image, mask, (left + pad, top + pad), _BLACK if colour in _LIGHT else _WHITE)


def _stamp(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], at: tuple[int, int], colour: Colour
) -> None:
    """Put letters, (h, w) uint8, into the picture; what lies outside of it is cut off."""
    left, top = at
    part = image[top : top + mask.shape[0], left : left + mask.shape[1]]
    weight = mask[: part.shape[0], : part.shape[1], None].astype(np.float32) / 255
    part[:] = (part * (1 - weight) + np.array(colour, np.float32) * weight).astype(np.uint8)


@lru_cache(maxsize=256)
def _letters(text: str, size: int, widest: int) -> NDArray[np.uint8]:
    """Return a line of text as (h, w) uint8 coverage; what is too wide ends in an ellipsis."""
    font = _font(size)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    shown = text
    while font.getlength(shown) > max(widest, size) and len(text) > 1:
        text = text[:-1]
        shown = text.rstrip() + "…"
    ascent, descent = _metrics(font)
    width = max(1, round(font.getlength(shown)) + 1)
    canvas = Image.new("L", (width, ascent + descent))
    ImageDraw.Draw(canvas).text((0, 0), shown, fill=255, font=font)
    return np.asarray(canvas, np.uint8)


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)


def _metrics(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    if isinstance(font, ImageFont.FreeTypeFont):
        return font.getmetrics()
    return 11, 0  # Pillow's bitmap letters, where it was built without FreeType


def _encode(image: NDArray[np.uint8]) -> bytes:
    """Return RGB pixels as a JPEG that fits into a message."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    jpeg = b""
    for quality in _QUALITIES:
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        jpeg = encoded.tobytes()
        if len(jpeg) <= MAX_BYTES:
            break
    return jpeg
