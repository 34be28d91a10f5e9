"""A stream of JPEGs as browsers show it in an ``<img>``: ``multipart/x-mixed-replace``. Pure.

Browsers show a picture when the boundary behind it has come, so that follows each at once, and not
with the next picture.
"""

from datetime import UTC, datetime
from typing import Final

_BOUNDARY: Final = "dfip-picture"

CONTENT_TYPE: Final = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
OPENING: Final = f"--{_BOUNDARY}\r\n".encode()
ENDING: Final = b"--\r\n"
"""In place of the line end behind the last boundary."""


def part(jpeg: bytes, captured_at: datetime) -> bytes:
    """Return a picture with its headers and the boundary behind it, less that one's line end."""
    head = (
        f"content-type: image/jpeg\r\n"
        f"content-length: {len(jpeg)}\r\n"
        f"x-captured-at: {rfc3339(captured_at)}\r\n\r\n"
    )
    return b"".join((head.encode(), jpeg, f"\r\n--{_BOUNDARY}".encode()))


def rfc3339(moment: datetime) -> str:
    """Return a time as the REST API writes it, to the millisecond."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"
