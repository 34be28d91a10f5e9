"""What a camera's pictures may be at most, whoever decodes them."""

from typing import Final

MAX_PIXELS: Final = 16_777_216
