"""A recording of known people for benchmarks: 1080p25 H.264, with a list of who is seen when.

Heads of photographs cross a textured room, one or two at a time, 45 to 200 pixels high; people of
whom other photographs are enrolled, and one stranger. A recording of a concert follows, scaled up,
in which nobody is known. It is made once from the media (most of a minute) and kept in the cache
folder of the user; the same media give the same clip. Encoded as cameras do it: a key frame a
second, no frames that look ahead, about 4 Mbit/s.
"""

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.model_files import cache_root
from tests.support.looks.portraits import ASTRONAUT, Portrait, read_portraits

SIZE: Final = (1920, 1080)
FPS: Final = 25
ENROLLED: Final = {"obama": ("obama_1.jpg", "obama_3.jpg"), "biden": ("biden_1.jpg",)}
"""Photographs by person that a benchmark enrols; no visit is made of them."""

_VERSION = 1  # of what is painted: a change asks for a new clip
_PATCH_FACES = 2.2
_PATCH_PX = 480
_NOISE = 1.5
_NOISE_TILES = 6
_CONCERT, _CONCERT_FPS = "stage_clip.mp4", 29.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A person who crosses the picture.

    Attributes:
        person: who it is.
        photo: of which photograph.
        begin_s: when the person comes into sight.
        end_s: when the person is gone.
        face_px: height of the face at the beginning and at the end, in pixels.
        x: centre of the face at both times, as a fraction of the width.
        y: the same of the height.
    """

    person: str
    photo: str
    begin_s: float
    end_s: float
    face_px: tuple[float, float]
    x: tuple[float, float]
    y: float

    def describe(self) -> str:
        """Return it in words."""
        first, last = self.face_px
        known = "" if self.known else ", not enrolled"
        return (
            f"{self.person} ({self.photo}{known}), {self.begin_s:.0f} to {self.end_s:.0f} s,"
            f" face {first:.0f} to {last:.0f} px high"
        )

    @property
    def known(self) -> bool:
        """Whether the person is enrolled."""
        return self.person in ENROLLED


VISITS: Final = tuple(
    Visit(person=person, photo=photo, begin_s=begin, end_s=begin + 5, face_px=px, x=x, y=y)
    for person, photo, begin, px, x, y in (
        ("obama", "obama_2.jpg", 0.0, (70, 120), (0.1, 0.8), 0.35),
        ("biden", "biden_2.jpg", 3.0, (60, 66), (0.25, 0.35), 0.55),
        ("obama", "obama_and_biden.jpg", 7.0, (150, 190), (0.8, 0.3), 0.45),
        ("biden", "obama_and_biden.jpg", 10.0, (90, 100), (0.1, 0.5), 0.3),
        (ASTRONAUT, "astronaut.png", 14.0, (100, 140), (0.9, 0.4), 0.4),
        ("obama", "obama_2.jpg", 17.0, (45, 90), (0.2, 0.3), 0.6),
        ("biden", "biden_2.jpg", 20.0, (120, 90), (0.9, 0.5), 0.4),
        ("obama", "obama_and_biden.jpg", 24.0, (200, 80), (0.2, 0.7), 0.5),
        ("biden", "obama_and_biden.jpg", 27.0, (50, 75), (0.9, 0.8), 0.6),
    )
)
_ROOM_S = 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledClip:
    """The recording.

    Attributes:
        path: an MPEG transport stream.
        length_s: how long it plays.
    """

    path: Path
    length_s: float
    visits: Sequence[Visit] = VISITS

    def describe(self) -> dict[str, object]:
        """Say what it is and holds."""
        return {
            "format": f"{SIZE[0]}x{SIZE[1]} H.264, {FPS} fps, a key frame a second",
            "seconds": round(self.length_s, 2),
            "kbit_per_s": round(self.path.stat().st_size * 8 / 1000 / self.length_s),
            "enrolled": {person: list(photos) for person, photos in ENROLLED.items()},
            "visits": [visit.describe() for visit in self.visits],
            "afterwards": f"{_CONCERT}, scaled up: several people, none of them enrolled",
        }


def labelled_clip(media: Path, engine: FaceEngine) -> LabelledClip:
    """Return the clip, made now if it is not there.

    Args:
        media: folder with `data/`.
        engine: finds the faces of the photographs.

    Raises:
        OSError: a photograph or the recording of the concert is missing.
    """
    folder = cache_root() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"people-{_VERSION}.ts"
    note = path.with_suffix(".json")
    if not (path.is_file() and note.is_file()):
        print("making the clip, which takes a minute", file=sys.stderr)
        portraits = read_portraits(engine, media / "data")
        count = _write(path, _pictures(portraits, media / "data" / _CONCERT))
        note.write_text(json.dumps({"frames": count}))
    return LabelledClip(path=path, length_s=json.loads(note.read_text())["frames"] / FPS)


def _pictures(portraits: Sequence[Portrait], concert: Path) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(4)
    room = _room(rng)
    noise = rng.normal(0.0, _NOISE, (_NOISE_TILES, SIZE[1], SIZE[0], 1)).round().astype(np.int8)
    heads = {(one.person, one.photo): _head(one) for one in portraits}
    for number in range(round(_ROOM_S * FPS)):
        picture = room.copy()
        for visit in VISITS:
            if visit.begin_s <= number / FPS < visit.end_s:
                _paint(picture, heads[visit.person, visit.photo], visit, number / FPS)
        yield _grainy(picture, noise[number % _NOISE_TILES])
    due_s = 0.0
    with av.open(str(concert)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number / _CONCERT_FPS < due_s - 1e-6:
                continue  # of 30 frames a second 25 are taken
            due_s += 1 / FPS
            large = frame.reformat(*SIZE, format="rgb24", interpolation="BICUBIC").to_ndarray()
            yield np.asarray(large, np.uint8)


def _room(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a background without anything that looks like a face."""
    width, height = SIZE
    picture = np.full((height, width, 3), (132.0, 124.0, 112.0), np.float32)
    for cells in (8, 40, 160):
        relief = rng.normal(0.0, 9.0, (cells, cells * 2, 3)).astype(np.float32)
        picture += cv2.resize(relief, SIZE, interpolation=cv2.INTER_CUBIC)
    for _ in range(10):  # shelves and doors
        x, y = int(rng.integers(width)), int(rng.integers(height))
        colour = tuple(float(value) for value in rng.uniform(40, 200, 3))
        cv2.rectangle(picture, (x, y), (x + 120, y + 360), colour, -1)
    return np.clip(picture, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Head:
    """A face with its surroundings, _PATCH_PX a side, and how opaque each pixel is."""

    picture: NDArray[np.float32]
    opaque: NDArray[np.float32]


def _head(portrait: Portrait) -> _Head:
    x1, y1, x2, y2 = (float(value) for value in portrait.face.box)
    scale = _PATCH_PX / (_PATCH_FACES * (y2 - y1))
    source = portrait.picture
    if scale < 1:
        source = np.asarray(
            cv2.resize(source, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    half, zoom = _PATCH_PX / 2, max(scale, 1.0)
    place = np.array(
        [[zoom, 0, half - scale * (x1 + x2) / 2], [0, zoom, half - scale * (y1 + y2) / 2]]
    )
    patch = cv2.warpAffine(
        source,
        place,
        (_PATCH_PX, _PATCH_PX),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    opaque = np.zeros((_PATCH_PX, _PATCH_PX), np.float32)
    centre = (_PATCH_PX // 2, _PATCH_PX // 2)
    cv2.ellipse(opaque, centre, (round(half * 0.72), round(half * 0.86)), 0, 0, 360, 1.0, -1)
    return _Head(
        picture=np.asarray(patch, np.float32),
        opaque=np.asarray(cv2.GaussianBlur(opaque, (0, 0), 10), np.float32),
    )


def _paint(picture: NDArray[np.uint8], head: _Head, visit: Visit, at_s: float) -> None:
    """Paint a person into the picture, in place."""
    part = (at_s - visit.begin_s) / (visit.end_s - visit.begin_s)
    face_px = visit.face_px[0] + part * (visit.face_px[1] - visit.face_px[0])
    x = (visit.x[0] + part * (visit.x[1] - visit.x[0])) * SIZE[0]
    y = visit.y * SIZE[1] + 0.04 * face_px * math.sin(2 * math.pi * 1.6 * at_s)  # steps
    side = face_px * _PATCH_FACES
    left, top = x - side / 2, y - side / 2
    box = (max(0, int(left)), max(0, int(top)))
    end = (min(SIZE[0], math.ceil(left + side)), min(SIZE[1], math.ceil(top + side)))
    if end[0] <= box[0] or end[1] <= box[1]:
        return
    scale = side / _PATCH_PX
    sigma = max(0.0, 0.45 / scale - 0.45)  # shrink with the right filter first
    to_view = np.array([[scale, 0, left - box[0]], [0, scale, top - box[1]]])
    size = (end[0] - box[0], end[1] - box[1])
    source = cv2.GaussianBlur(head.picture, (0, 0), sigma) if sigma > 0.3 else head.picture
    person = cv2.warpAffine(source, to_view, size, flags=cv2.INTER_LINEAR)
    opaque = cv2.warpAffine(head.opaque, to_view, size)[:, :, None]
    place = picture[box[1] : end[1], box[0] : end[0]]
    place[:] = np.clip(person * opaque + place * (1 - opaque), 0, 255).astype(np.uint8)


def _grainy(picture: NDArray[np.uint8], noise: NDArray[np.int8]) -> NDArray[np.uint8]:
    grainy = cv2.add(picture, np.repeat(noise, 3, axis=2), dtype=cv2.CV_8U)
    return np.asarray(grainy, np.uint8)


def _write(path: Path, pictures: Iterator[NDArray[np.uint8]]) -> int:
    """Encode the pictures; return how many they were. The file appears whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=".people.", suffix=".part", dir=path.parent)
    os.close(handle)
    count = 0
    try:
        with av.open(name, "w", format="mpegts") as container:
            options = {
                "preset": "veryfast",
                "threads": "1",
                "crf": "23",
                "maxrate": "4M",
                "bufsize": "4M",
                "x264-params": "aud=1:scenecut=0:bframes=0:repeat-headers=1",
            }
            stream = container.add_stream("libx264", rate=FPS, options=options)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = SIZE
            stream.pix_fmt = "yuv420p"
            stream.gop_size = FPS
            stream.codec_context.time_base = Fraction(1, FPS)
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = count
                container.mux(stream.encode(frame))
                count += 1
                if count % (5 * FPS) == 0:
                    print(f"{count // FPS} s made", file=sys.stderr)
            container.mux(stream.encode(None))
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    return count
