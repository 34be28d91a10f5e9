"""A video device of this machine, where the operator allows those.

Its path is one of few, and it must be a character device of video (major number 81), so that a
camera's address opens no other file. libav opens a device by its name only.
"""

import os
import stat
from dataclasses import dataclass
from typing import Final

import av

from vision_worker.sources.address import DeviceAddress
from vision_worker.sources.failure import SourceFailure, failure_at_opening
from vision_worker.sources.limits import OPTIONS, STREAM_OPTIONS
from vision_worker.sources.opened import OpenedSource

_VIDEO_MAJOR: Final = 81
_WANTED: Final[tuple[dict[str, str], ...]] = ({"input_format": "mjpeg"}, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSource:
    """A video device."""

    address: DeviceAddress
    allowed: bool

    @property
    def loops(self) -> bool:
        """Whether its end is followed by its beginning."""
        return False

    @property
    def live(self) -> bool:
        """Whether its end is a failure."""
        return True

    def open(self) -> OpenedSource:
        """Open it; blocks. Raises `SourceFailure`."""
        if not self.allowed:
            raise SourceFailure(
                "forbidden_address",
                "Devices of this machine are not allowed; the operator may with "
                "DFIP_ALLOW_DEVICES.",
            )
        _require_video(self.address.path)
        failure = SourceFailure("not_a_stream")
        for options in _WANTED:  # compressed first: raw pictures of 1080p do not fit through USB 2
            try:
                container = av.open(
                    self.address.path,
                    format="v4l2",
                    options={**options, **OPTIONS},
                    stream_options=STREAM_OPTIONS,
                )
            except (av.error.FFmpegError, ValueError) as error:
                failure = failure_at_opening(error)
            else:
                return OpenedSource(container=container, paced=False, stamped=False)
        raise failure from None


def _require_video(path: str) -> None:
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116 a Path adds nothing here
    except OSError:
        raise SourceFailure(
            "not_found", "There is no such device on the worker's machine; check its number."
        ) from None
    if not stat.S_ISCHR(found.st_mode) or os.major(found.st_rdev) != _VIDEO_MAJOR:
        raise SourceFailure("forbidden_address", "This path is no video device.")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceFailure(
            "unauthorized", "The worker may not open the device; put its user into group video."
        )
