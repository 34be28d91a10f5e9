"""Cameras on the network. libav connects to none of them, it reads from ``relay``.

What answers is untrusted, and libav by itself would look names up again, follow redirects with the
credentials in hand, and open whatever a playlist names.
"""

from dataclasses import dataclass, replace
from typing import Final

import av

from vision_worker.sources.address import NetworkAddress
from vision_worker.sources.failure import SourceFailure, failure_at_opening
from vision_worker.sources.limits import OPTIONS, STREAM_OPTIONS
from vision_worker.sources.opened import OpenedSource
from vision_worker.sources.policy import SourcePolicy
from vision_worker.sources.relay.hls_stream import HlsStream
from vision_worker.sources.relay.http_camera import HttpCamera
from vision_worker.sources.relay.http_stream import HttpStream
from vision_worker.sources.relay.line import Deadline, Lines
from vision_worker.sources.relay.rtsp_relay import RtspRelay

# libav's own watch, should the relay's fail
_LIBAV_OPEN_S: Final = 8.0
_LIBAV_READ_S: Final = 8.0
_FORMATS: Final = "mpjpeg,mjpeg,mpegts,mov,mp4,m4a,3gp,3g2,mj2,flv"
_FORMAT_OF: Final = {
    "multipart/x-mixed-replace": "mpjpeg",
    "multipart/mixed": "mpjpeg",
    "image/jpeg": "mjpeg",
    "video/x-motion-jpeg": "mjpeg",
    "video/mp2t": "mpegts",
    "video/x-flv": "flv",
    "video/mp4": "mp4",
}
_PLAYLIST: Final = b"#EXTM3U"


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspSource:
    """A camera that speaks RTSP."""

    address: NetworkAddress
    lines: Lines
    policy: SourcePolicy

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
        relay = RtspRelay(self.address, self.lines, self.policy.times)
        relay.open()
        try:
            container = av.open(
                relay.url,
                format="rtsp",
                timeout=(_LIBAV_OPEN_S, _LIBAV_READ_S),
                options={
                    "rtsp_transport": "tcp",
                    "protocol_whitelist": "rtsp,tcp",
                    "format_whitelist": "rtsp",
                    "timeout": str(int(_LIBAV_READ_S * 1e6)),
                    "allowed_media_types": "video",
                    **OPTIONS,
                },
                stream_options=STREAM_OPTIONS,
            )
        except (av.error.FFmpegError, ValueError) as error:
            relay.close()
            raise relay.failure or _unreadable(error) from None
        return OpenedSource(container=container, paced=False, stamped=True, supply=relay)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """A camera that speaks HTTP."""

    address: NetworkAddress
    lines: Lines
    policy: SourcePolicy

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
        deadline = Deadline(self.policy.times.open_s)
        camera = HttpCamera(self.address, self.lines)
        try:
            answer = camera.get(self.address.target.reveal(), deadline)
            first = _first_bytes(camera, deadline)
            if first.startswith(_PLAYLIST) or "mpegurl" in answer.media_type:
                return self._playlist(camera, first, deadline)
            stream = HttpStream(camera, first, self.policy.times.stall_s)
            return _opened(stream, _FORMAT_OF.get(answer.media_type))
        except SourceFailure:
            camera.close()
            raise

    def _playlist(self, camera: HttpCamera, first: bytes, deadline: Deadline) -> OpenedSource:
        if not self.policy.hls:
            raise SourceFailure(
                "not_a_stream",
                "The camera answers with a playlist; the operator may allow these with "
                "DFIP_ALLOW_HLS.",
            )
        stream = HlsStream(
            camera,
            origin=f"{self.address.scheme}://{self.address.authority}",
            target=self.address.target.reveal(),
            stall_s=self.policy.times.stall_s,
        )
        # segments come faster than they happened, whether the list has an end or not
        return replace(_opened(stream, stream.open(first, deadline)), paced=True)


def _opened(stream: HttpStream | HlsStream, kind: str | None) -> OpenedSource:
    try:
        container = av.open(
            stream,
            "r",
            format=kind,
            options={
                "protocol_whitelist": "none",
                "format_whitelist": _FORMATS,
                **OPTIONS,
            },
            stream_options=STREAM_OPTIONS,
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise stream.failure or _unreadable(error) from None
    recording = container.duration is not None
    stamped = container.format.name not in ("mpjpeg", "mjpeg")
    return OpenedSource(container=container, paced=recording, stamped=stamped, supply=stream)


def _unreadable(error: Exception) -> SourceFailure:
    """Return what libav's error means where the camera was reached and answered well."""
    failure = failure_at_opening(error)
    return SourceFailure("not_a_stream") if failure.reason == "unreachable" else failure


def _first_bytes(camera: HttpCamera, deadline: Deadline) -> bytes:
    """Return enough of the body to know a playlist by."""
    first = b""
    while len(first) < len(_PLAYLIST):
        more = camera.receive(deadline)
        if not more:
            break
        first += more
    # some cameras end the head with a line too many, and libav knows no stream by that
    return first.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
