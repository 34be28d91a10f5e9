"""Makes a moving camera clip out of one photograph, so that a demo needs no camera.

The photograph hangs on a plain wall and a virtual camera wanders over it: seconds of bare wall, a
slide to the face, pan, zoom, roll and changing light with sensor noise, and back to the wall, where
the clip joins its own beginning. What is made here is an ordinary H.264 file: the worker reads it
like any recording and knows nothing of how it came to be.
"""

import importlib.util
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.pictures import PictureRejected, decode_picture

Progress = Callable[[int, int], None]
"""Called with the frames made so far and the frames of the whole clip."""

_FACE_PX = 165.0  # height of the face at the largest zoom
_ZOOM = (0.62, 1.0)  # so a face is 102 to 165 px high, 78 to 125 px wide
_NOBODY_S = 1.0  # bare wall at each end; together the gap between two rounds
_SLIDE_S = 1.2  # from the wall to the face
_SHORTEST_S = 2 * (_NOBODY_S + _SLIDE_S) + 1.0
_NOISE_SIGMA = 3.0
_NOISE_TILES = 8
_FEATHER_PX = 12
_MARGIN = 1.15  # of the view: what a roll of a few degrees can turn into sight


class DemoClipError(Exception):
    """The clip cannot be made; the text is one sentence for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """The wall with the photograph on it, and where the camera may look.

    Attributes:
        canvas: (h, w, 3) uint8; RGB.
        face: x, y of the face's centre in the canvas.
        aside: x, y in the canvas around which a whole view shows nothing but wall.
    """

    canvas: NDArray[np.uint8]
    face: tuple[float, float]
    aside: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """Where the camera looks in one frame: canvas pixels, view per canvas pixel, radians."""

    x: float
    y: float
    zoom: float
    roll: float
    gain: float


def astronaut_photo() -> Path:
    """Return the photograph of the astronaut that scikit-image's wheel brings along.

    The package is located, never imported.

    Raises:
        DemoClipError: the package is not installed or holds no such file.
    """
    spec = importlib.util.find_spec("skimage")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        photo = Path(folder) / "data" / "astronaut.png"
        if photo.is_file():
            return photo
    raise DemoClipError(
        "The demo photograph is missing: install the package scikit-image, or give your own photo."
    )


def make_demo_clip(
    photo: Path,
    out: Path,
    *,
    seconds: float = 12.0,
    size: tuple[int, int] = (640, 360),
    fps: int = 25,
    seed: int = 0,
    engine: FaceEngine | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a camera clip of the person in a photograph; the same arguments give the same file.

    Args:
        photo: a JPEG, PNG or WebP picture.
        out: the MP4 file to write; it appears whole or not at all.
        seconds: length of the clip; at least 5.4.
        size: width and height in pixels, both even.
        fps: frames a second; every second begins with a key frame.
        seed: chooses the drift and the noise.
        engine: finds the largest face of the photograph; without one a portrait is assumed.
        progress: told about every frame made.

    Raises:
        DemoClipError: the photograph cannot be read, or the clip not written.
    """
    if seconds < _SHORTEST_S:
        raise DemoClipError(f"A clip needs at least {_SHORTEST_S:.1f} seconds.")
    if fps < 1 or any(side < 64 or side > 4096 or side % 2 for side in size):
        raise DemoClipError("A clip needs even sides of 64 to 4096 pixels and at least 1 fps.")
    picture = _read_photo(photo)
    face = _find_face(picture, engine)
    rng = np.random.default_rng(seed)
    world = _build_world(picture, face, size, rng)
    total = round(seconds * fps)
    frames = _render(world, size=size, fps=fps, total=total, rng=rng)
    try:
        _write_atomically(out, frames, size=size, fps=fps, total=total, progress=progress)
    except (OSError, av.error.FFmpegError) as error:
        reason = error.strerror or "the file cannot be written"
        raise DemoClipError(f"Cannot write the clip {out}: {reason}.") from error


def _read_photo(photo: Path) -> NDArray[np.uint8]:
    try:
        return decode_picture(photo.read_bytes())
    except OSError as error:
        raise DemoClipError(f"Cannot read the photo {photo}: {error.strerror}.") from error
    except PictureRejected as error:
        raise DemoClipError(f"Cannot use the photo {photo}. {error.sentence}") from error


def _find_face(
    picture: NDArray[np.uint8], engine: FaceEngine | None
) -> tuple[float, float, float, float]:
    """Return centre x, centre y, width and height of the face, in pixels of the picture."""
    height, width = picture.shape[:2]
    if engine is not None:
        found = engine.detect(picture, min_face_px=40)
        if len(found):
            boxes = found.boxes
            areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
            x1, y1, x2, y2 = (float(value) for value in boxes[int(np.argmax(areas))])
            return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
    # an upright portrait: the face a quarter of the way down, about a fifth of the height
    return width / 2, height * 0.25, height * 0.17, height * 0.22


def _build_world(
    picture: NDArray[np.uint8],
    face: tuple[float, float, float, float],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> _World:
    view_w, view_h = (side / _ZOOM[0] * _MARGIN for side in size)
    scale = min(_FACE_PX, size[1] * 0.6) / max(face[3], 8.0)
    # only what a view around the face can show is kept, so that any photo costs the same
    half_w, half_h = view_w / scale, view_h / scale
    left, top = max(0, int(face[0] - half_w)), max(0, int(face[1] - half_h))
    right, bottom = int(face[0] + half_w) + 1, int(face[1] + half_h) + 1
    part = picture[top:bottom, left:right]
    photo_w, photo_h = (max(2, round(side * scale)) for side in (part.shape[1], part.shape[0]))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(
        cv2.resize(part, (photo_w, photo_h), interpolation=interpolation), dtype=np.uint8
    )
    pad_x, pad_y = int(view_w) + 2, int(view_h) + 2
    height = photo_h + 2 * pad_y
    width = photo_w + 2 * pad_x
    canvas = _paint_wall(np.median(picture, axis=(0, 1)), height, width, rng)
    _hang(canvas, scaled, pad_x, pad_y)
    centre = ((face[0] - left) * scale + pad_x, (face[1] - top) * scale + pad_y)
    return _World(canvas=canvas, face=centre, aside=(view_w / 2, centre[1]))


def _paint_wall(
    colour: NDArray[np.float64], height: int, width: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a plain wall: a tint of the photo, soft stains, a slope of light from one side."""
    tint = 150.0 + 0.25 * (np.asarray(colour, np.float32) - 128.0)
    stains = rng.normal(0.0, 1.0, (height // 48 + 2, width // 48 + 2)).astype(np.float32)
    relief = cv2.resize(stains, (width, height), interpolation=cv2.INTER_CUBIC) * 5.0
    relief += np.linspace(-12.0, 12.0, width, dtype=np.float32)[None, :]
    wall = relief[:, :, None] + tint[None, None, :]
    return np.clip(wall, 0, 255).astype(np.uint8)


def _hang(canvas: NDArray[np.uint8], photo: NDArray[np.uint8], left: int, top: int) -> None:
    """Paste the photo onto the wall with soft edges, in place."""
    height, width = photo.shape[:2]
    rows = np.minimum(np.arange(height), np.arange(height)[::-1])
    columns = np.minimum(np.arange(width), np.arange(width)[::-1])
    edge = np.minimum(rows[:, None], columns[None, :]).astype(np.float32)
    alpha = np.clip((edge + 1) / _FEATHER_PX, 0, 1)[:, :, None]
    place = canvas[top : top + height, left : left + width]
    place[:] = (photo * alpha + place * (1 - alpha)).astype(np.uint8)


def _render(
    world: _World, *, size: tuple[int, int], fps: int, total: int, rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    width, height = size
    noise = rng.normal(0.0, _NOISE_SIGMA, (_NOISE_TILES, height, width, 1)).astype(np.int16)
    phases = rng.uniform(0.0, 2 * math.pi, 5)
    for index in range(total):
        view = _view_at(index / fps, total / fps, world, phases)
        cos, sin = view.zoom * math.cos(view.roll), view.zoom * math.sin(view.roll)
        to_view = np.array(
            [
                [cos, -sin, width / 2 - cos * view.x + sin * view.y],
                [sin, cos, height / 2 - sin * view.x - cos * view.y],
            ]
        )
        seen = cv2.warpAffine(
            world.canvas, to_view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        lit = cv2.convertScaleAbs(seen, alpha=view.gain).astype(np.int16)
        shift = int(rng.integers(width))
        lit += np.roll(noise[int(rng.integers(_NOISE_TILES))], shift, axis=1)
        yield np.clip(lit, 0, 255).astype(np.uint8)


def _view_at(time: float, length: float, world: _World, phases: NDArray[np.float64]) -> _View:
    """Return the camera's view; every term is periodic in the length, so the clip loops."""
    turn = 2 * math.pi * time / length
    inward = _smooth((time - _NOBODY_S) / _SLIDE_S)
    outward = _smooth((length - _NOBODY_S - time) / _SLIDE_S)
    there = min(inward, outward)  # 0: the wall, 1: the face
    middle, swing = (_ZOOM[1] + _ZOOM[0]) / 2, (_ZOOM[1] - _ZOOM[0]) / 2
    drift_x = 55.0 * math.sin(3 * turn + phases[0])
    drift_y = 22.0 * math.sin(4 * turn + phases[1])
    return _View(
        x=world.aside[0] + there * (world.face[0] + drift_x - world.aside[0]),
        y=world.aside[1] + there * drift_y,
        zoom=middle + swing * math.sin(2 * turn + phases[2]),
        roll=math.radians(3.0) * there * math.sin(5 * turn + phases[3]),
        gain=1.0 + 0.14 * math.sin(3 * turn + phases[4]),
    )


def _smooth(value: float) -> float:
    """Return the smoothstep of a value: 0 below 0, 1 above 1, without a jerk between."""
    bounded = min(1.0, max(0.0, value))
    return bounded * bounded * (3 - 2 * bounded)


def _write_atomically(
    out: Path,
    frames: Iterator[NDArray[np.uint8]],
    *,
    size: tuple[int, int],
    fps: int,
    total: int,
    progress: Progress | None,
) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    os.close(handle)
    part = Path(name)
    try:
        _encode(part, frames, size=size, fps=fps, total=total, progress=progress)
        part.chmod(0o644)  # mkstemp's 0600 would hide the clip from a service of another user
        part.replace(out)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _encode(
    path: Path,
    frames: Iterator[NDArray[np.uint8]],
    *,
    size: tuple[int, int],
    fps: int,
    total: int,
    progress: Progress | None,
) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        # one thread: x264's result depends on how many there are
        options = {"preset": "ultrafast", "crf": "21", "threads": "1", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = fps
        stream.codec_context.time_base = Fraction(1, fps)
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
            if progress is not None:
                progress(index + 1, total)
        container.mux(stream.encode(None))
