"""Makes small real recordings for tests, with the very library that reads them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray


def moving_pattern(count: int, size: tuple[int, int] = (96, 64)) -> list[NDArray[np.uint8]]:
    """Return pictures whose red tells their number: 10 + 2 * n."""
    width, height = size
    pictures = []
    for number in range(count):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[:, :, 0] = 10 + 2 * (number % 120)
        picture[:, (number * 3) % width :, 1] = 120
        pictures.append(picture)
    return pictures


def write_clip(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    fps: int = 25,
    codec: str = "libx264",
    key_every: int = 25,
    stamps: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    sound: bool = False,
    container_format: str | None = None,
) -> Path:
    """Write a recording; `stamps` are the frames' times in units of 1/fps."""
    encoding = {"preset": "ultrafast", "threads": "1"} if codec == "libx264" else {}
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=fps, options={**encoding, **(options or {})})
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = key_every
        stream.codec_context.time_base = Fraction(1, fps)
        audio = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = stamps[number] if stamps else number
            container.mux(stream.encode(frame))
            if audio is not None:
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 8000 // fps), np.float32), format="fltp", layout="mono"
                )
                silence.sample_rate = 8000
                silence.pts = number * (8000 // fps)
                container.mux(audio.encode(silence))
        container.mux(stream.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))
    return path
