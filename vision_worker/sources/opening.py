"""Opens a camera: the port that decoding reads from, and its two implementations.

A recording is played by its timestamps and may begin again; a camera on the network is read as it
comes. Both are opened with whitelists, so that what answers cannot make libav open anything else.
Opening blocks, so it happens in the decoding thread (`decode/reader.py`).
"""

import ipaddress
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import av
from av.container import InputContainer

from service_runtime.addresses import AddressPolicy
from service_runtime.secret import Secret
from vision_worker.sources.address import FileAddress, NetworkAddress, parse_address
from vision_worker.sources.failure import SourceFailure, failure_at_opening
from vision_worker.sources.media_root import open_below
from vision_worker.sources.policy import SourcePolicy

_OPEN_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 4.0  # libav notices after twice as long
_FILE_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_HTTP_FORMATS = "mpjpeg,mjpeg,mpegts,mov,mp4,m4a,3gp,3g2,mj2,flv"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedSource:
    """A container that is open.

    Attributes:
        container: libav's demuxer.
        paced: it can be read faster than it happened, so timestamps say when a frame is due.
        stamped: its timestamps mean something; else a frame's time is when it arrives.
        file: what the container reads from, where that is ours to close.
    """

    container: InputContainer
    paced: bool
    stamped: bool
    file: BinaryIO | None = None

    def close(self) -> None:
        """Free it; safe to call twice."""
        self.container.close()
        if self.file is not None:
            self.file.close()


class Source(Protocol):
    """A camera that can be opened, again and again."""

    @property
    def loops(self) -> bool:
        """Whether its end is followed by its beginning."""
        ...

    @property
    def live(self) -> bool:
        """Whether its end is a failure."""
        ...

    def open(self) -> OpenedSource:
        """Open it; blocks. Raises `SourceFailure`."""
        ...


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
                options={"protocol_whitelist": "none", "format_whitelist": _FILE_FORMATS},
                buffer_size=1 << 18,
            )
        except (av.error.FFmpegError, ValueError):
            file.close()
            raise SourceFailure(
                "not_a_stream", "The file is no video that can be read, or it is damaged."
            ) from None
        return OpenedSource(container=container, paced=True, stamped=True, file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSource:
    """A camera on the network."""

    address: NetworkAddress
    addresses: AddressPolicy

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
        _require_reachable_name(self.address.host, self.address.port, self.addresses)
        rtsp = self.address.scheme in ("rtsp", "rtsps")
        began = time.monotonic()  # measures libav's own timeout; decides nothing else
        try:
            container = av.open(
                self.address.url.reveal(),
                format="rtsp" if rtsp else None,
                timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S),
                options=_rtsp_options() if rtsp else _http_options(self.address.scheme),
            )
        except (av.error.FFmpegError, ValueError) as error:
            took_s = time.monotonic() - began
            if not isinstance(error, av.error.FFmpegError):
                raise SourceFailure("not_a_stream") from None
            raise failure_at_opening(error, took_s=took_s, timeout_s=_OPEN_TIMEOUT_S) from None
        recording = not rtsp and container.duration is not None
        stamped = rtsp or container.format.name not in ("mpjpeg", "mjpeg")
        return OpenedSource(container=container, paced=recording, stamped=stamped)


class Sources:
    """All that a worker opens cameras with; one for the process.

    Args:
        policy: what may be opened.
    """

    def __init__(self, policy: SourcePolicy) -> None:
        self._policy = policy

    def source_for(self, connection_string: Secret) -> Source:
        """Return the source that a connection string names, not yet opened.

        Raises:
            SourceFailure: it is no address that a worker opens.
        """
        match parse_address(connection_string):
            case FileAddress() as address:
                return FileSource(address=address, media_root=self._policy.media_root)
            case NetworkAddress() as address:
                return NetworkSource(address=address, addresses=self._policy.addresses)


def _rtsp_options() -> dict[str, str]:
    return {
        "rtsp_transport": "tcp",
        "protocol_whitelist": "rtsp,rtsps,tcp,tls",
        "timeout": str(int(_OPEN_TIMEOUT_S * 1e6)),
        "allowed_media_types": "video",
        "probesize": "1000000",
        "analyzeduration": "2000000",
    }


def _http_options(scheme: str) -> dict[str, str]:
    return {
        "protocol_whitelist": "https,tls,tcp" if scheme == "https" else "http,tcp",
        "format_whitelist": _HTTP_FORMATS,
        "max_redirects": "0",
        "timeout": str(int(_OPEN_TIMEOUT_S * 1e6)),
    }


def _require_reachable_name(host: str, port: int, addresses: AddressPolicy) -> None:
    """Refuse a name that does not resolve, or to where no camera is.

    libav reports a name that it cannot resolve as an input/output error like many others.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SourceFailure("dns") from None
    if not addresses.allows_all(ipaddress.ip_address(str(answer[4][0])) for answer in answers):
        raise SourceFailure("forbidden_address")
