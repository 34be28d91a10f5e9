"""A recording below the media root: libav gets the open file, never a name."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import av

from vision_worker.sources.address import FileAddress
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.limits import OPTIONS, STREAM_OPTIONS
from vision_worker.sources.media_root import open_below
from vision_worker.sources.opened import OpenedSource

_FORMATS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A recording below the media root."""

    address: FileAddress
    media_root: Path

    @property
    def loops(self) -> bool:
        """Whether its end is followed by its beginning."""
        return self.address.loops

    @property
    def live(self) -> bool:
        """Whether its end is a failure."""
        return False

    def open(self) -> OpenedSource:
        """Open it; blocks. Raises `SourceFailure`."""
        file = open_below(self.media_root, self.address.path)
        try:
            container = av.open(
                file,
                "r",
                options={"protocol_whitelist": "none", "format_whitelist": _FORMATS, **OPTIONS},
                stream_options=STREAM_OPTIONS,
                buffer_size=1 << 18,
            )
        except (av.error.FFmpegError, ValueError):
            file.close()
            raise SourceFailure(
                "not_a_stream", "The file is no video that can be read, or it is damaged."
            ) from None
        return OpenedSource(container=container, paced=True, stamped=True, supply=_Held(file))


@dataclass(frozen=True, slots=True)
class _Held:
    """The file, until the container is closed."""

    file: BinaryIO

    @property
    def failure(self) -> SourceFailure | None:
        return None

    def packet_came(self) -> None:
        """Files do not stall."""

    def interrupt(self) -> None:
        """Files do not hang."""

    def close(self) -> None:
        self.file.close()
