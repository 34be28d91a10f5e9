"""Pictures and frames as they come from a decoder, made from pixels."""

from datetime import UTC, datetime

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vision_worker.decode.frame import Frame
from vision_worker.decode.picture import AvPicture


def decoded_picture(image_rgb: NDArray[np.uint8], pixel_format: str = "rgb24") -> AvPicture:
    """Return (h, w, 3) uint8 RGB as a decoded picture of a given pixel format."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image_rgb), format="rgb24")
    return AvPicture(frame.reformat(format=pixel_format))


def decoded_frame(image_rgb: NDArray[np.uint8], *, longest_side: int = 640) -> Frame:
    """Return (h, w, 3) uint8 RGB as a sampled frame, with the image that a detector would see."""
    picture = decoded_picture(image_rgb)
    return Frame(
        image=picture.scaled(longest_side),
        picture=picture,
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        media_s=0.0,
        index=0,
        cut=False,
    )
