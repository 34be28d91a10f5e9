"""What a camera of the tests sends: encoded pictures, when they go out and the time on each.

A reel is made here with the project's own libav and played by two cameras: GStreamer's RTSP server
(``tests/cameras``) and one of a few hundred lines (``rtsp_camera``). The two times of a unit are
apart, so a reel can stall, jump, run backwards or repeat itself without its player knowing.
"""

import json
import random
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

Codec = Literal["h264", "h265", "mjpeg"]
_ENCODERS: dict[Codec, str] = {"h264": "libx264", "h265": "libx265", "mjpeg": "mjpeg"}
_HEAD = struct.Struct("<qqI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An encoded picture: an access unit in annex B, or a JPEG.

    Attributes:
        due_s: when it goes out, from the reel's beginning.
        stamp_s: the time on it.
        key: it can be decoded alone.
    """

    data: bytes
    due_s: float
    stamp_s: float
    key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """Units in the order in which they go out; ``length_s`` after its beginning it may loop."""

    codec: Codec
    size: tuple[int, int]
    units: tuple[Unit, ...]
    length_s: float

    def write(self, path: Path) -> Path:
        """Write it as the GStreamer program reads it."""
        with path.open("wb") as file:
            head = {"codec": self.codec, "length_ns": _ns(self.length_s), "units": len(self.units)}
            file.write(json.dumps(head).encode() + b"\n")
            for unit in self.units:
                file.write(_HEAD.pack(_ns(unit.due_s), _ns(unit.stamp_s), len(unit.data)))
                file.write(unit.data)
        return path

    def with_units(self, change: Callable[[int, Unit], Unit | None]) -> "Reel":
        """Return it with every unit changed, or left out for None."""
        changed = [change(number, unit) for number, unit in enumerate(self.units)]
        return replace(self, units=tuple(unit for unit in changed if unit is not None))


def gradient(count: int, size: tuple[int, int] = (320, 240)) -> list[NDArray[np.uint8]]:
    """Return pictures, (h, w, 3) uint8 RGB, of a gradient that moves along."""
    width, height = size
    across = np.linspace(0, 4 * np.pi, width, dtype=np.float32)[None, :]
    down = np.linspace(0, 2 * np.pi, height, dtype=np.float32)[:, None]
    pictures = []
    for number in range(count):
        wave = np.sin(across + number / 6) + np.cos(down - number / 9)
        red = ((wave + 2) * 63).astype(np.uint8)
        pictures.append(np.stack([red, np.roll(red, number * 3, 1), red[::-1]], axis=2))
    return pictures


def face_passing_by(
    photo: NDArray[np.uint8], count: int, size: tuple[int, int] = (640, 480)
) -> list[NDArray[np.uint8]]:
    """Return pictures of a photograph that moves over a dark wall."""
    width, height = size
    side = min(photo.shape[0], height)
    shown = photo[:side, :side]
    pictures = []
    for number in range(count):
        picture = np.full((height, width, 3), 24, np.uint8)
        left = round((width - side) * number / max(1, count - 1))
        picture[:side, left : left + side] = shown
        pictures.append(picture)
    return pictures


def reel(
    pictures: Sequence[NDArray[np.uint8]],
    *,
    codec: Codec = "h264",
    fps: int = 25,
    key_every: int = 25,
    b_frames: int = 0,
    options: dict[str, str] | None = None,
) -> Reel:
    """Encode pictures, (h, w, 3) uint8 RGB."""
    height, width = pictures[0].shape[:2]
    context = av.CodecContext.create(_ENCODERS[codec], "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = width, height
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base = Fraction(1, fps)
    context.framerate = Fraction(fps)
    context.gop_size = key_every
    context.thread_count = 1
    own = {
        "h264": {"preset": "ultrafast", "bf": str(b_frames), "x264-params": "aud=1:scenecut=0"},
        "h265": {
            "preset": "ultrafast",
            "x265-params": f"aud=1:repeat-headers=1:log-level=none:bframes={b_frames}:pools=1"
            f":frame-threads=1:keyint={key_every}:min-keyint={key_every}:scenecut=0",
        },
        # RFC 2435 knows the default Huffman tables alone
        "mjpeg": {"huffman": "default", "qmin": "4", "qmax": "4"},
    }[codec]
    context.options = {**own, **(options or {})}
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    units = tuple(
        Unit(
            data=bytes(packet),
            due_s=number / fps,
            stamp_s=(packet.pts or 0) / fps,
            key=packet.is_keyframe,
        )
        for number, packet in enumerate(packets)
    )
    return Reel(codec=codec, size=(width, height), units=units, length_s=len(pictures) / fps)


def joined(*reels: Reel) -> Reel:
    """Return one after the other; the size is that of the first."""
    units: list[Unit] = []
    begin_s = 0.0
    for one in reels:
        units += [
            replace(unit, due_s=unit.due_s + begin_s, stamp_s=unit.stamp_s + begin_s)
            for unit in one.units
        ]
        begin_s += one.length_s
    return replace(reels[0], units=tuple(units), length_s=begin_s)


def without_key_frames(one: Reel) -> Reel:
    """Leave out every picture that can be decoded alone."""
    return one.with_units(lambda _, unit: None if unit.key else unit)


def frozen(one: Reel) -> Reel:
    """Send the first picture again and again, each time as a new one."""
    first = one.units[0]
    return one.with_units(lambda _, unit: replace(unit, data=first.data, key=True))


def stamped(one: Reel, stamp_s: Callable[[int, float], float]) -> Reel:
    """Give units other timestamps, from their number and their own."""
    return one.with_units(lambda at, unit: replace(unit, stamp_s=stamp_s(at, unit.stamp_s)))


def corrupted(one: Reel, dice: random.Random, *, every: int = 5, flips: int = 12) -> Reel:
    """Flip bytes of every so many units, behind the first bytes that say what they are."""

    def damage(number: int, unit: Unit) -> Unit:
        if number % every or len(unit.data) < 64:
            return unit
        data = bytearray(unit.data)
        for _ in range(flips):
            data[dice.randrange(48, len(data))] ^= dice.randrange(1, 256)
        return replace(unit, data=bytes(data))

    return one.with_units(damage)


def nal_units(data: bytes) -> Iterable[bytes]:
    """Return the NAL units of an access unit in annex B, without their start codes."""
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        begin = at + 3
        at = data.find(b"\x00\x00\x01", begin)
        yield data[begin : at if at >= 0 else len(data)].rstrip(b"\x00")


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
