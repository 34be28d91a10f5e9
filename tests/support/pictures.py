"""Pictures as they come from a decoder, made from pixels."""

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vision_worker.decode.picture import AvPicture


def decoded_picture(image_rgb: NDArray[np.uint8], pixel_format: str = "rgb24") -> AvPicture:
    """Return (h, w, 3) uint8 RGB as a decoded picture of a given pixel format."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image_rgb), format="rgb24")
    return AvPicture(frame.reformat(format=pixel_format))
