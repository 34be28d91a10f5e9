"""Frames and scenes for the tests of what people look at."""

from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.pictures import decoded_picture
from vision_worker.decode.frame import Frame
from vision_worker.looking.scene import DrawnPicture

GREY = 120
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def frame(index: int = 0, size: tuple[int, int] = (640, 360), *, noisy: bool = False) -> Frame:
    """Return a grey frame, or one that no JPEG makes small; the index says when it was taken."""
    width, height = size
    image = np.full((height, width, 3), GREY, np.uint8)
    if noisy:
        image[:] = np.random.default_rng(index).integers(0, 255, image.shape, np.uint8)
    return Frame(
        image=np.zeros((36, 64, 3), np.uint8),
        picture=decoded_picture(image),
        captured_at=NOON + timedelta(seconds=index),
        media_s=float(index),
        index=index,
        cut=False,
    )


def pixels(picture: DrawnPicture) -> NDArray[np.uint8]:
    """Return the (h, w, 3) uint8 RGB pixels of a picture."""
    decoded = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
