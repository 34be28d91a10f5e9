"""Reads a camera's connection string into what kind of source it is.

Pure: nothing is opened or resolved here. Credentials are taken out of the address in this file, and
both stay secrets from the first line on. `opening.py` turns the result into a source.

What follows a ``#`` is for DFIP and never sent: ``#transport=udp`` asks a camera of RTSP to send
over UDP.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from service_runtime.secret import Secret
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.relay.authorization import Credentials

NetworkScheme = Literal["rtsp", "rtsps", "http", "https"]
Transport = Literal["tcp", "udp"]
_PORTS: dict[NetworkScheme, int] = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_TRANSPORTS: dict[str, Transport] = {"": "tcp", "transport=tcp": "tcp", "transport=udp": "udp"}
_DEVICE: Final = re.compile(r"/dev/video[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAddress:
    """A recording below the media root.

    Attributes:
        path: decoded path of the URL, with its leading slash.
        loops: begin again at the end, for ever.
    """

    path: str
    loops: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAddress:
    """A video device of this machine, ``/dev/video`` and a number."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAddress:
    """A camera on the network.

    Attributes:
        target: path and query as they are sent; some cameras have passwords there.
        credentials: what stood before the host.
        transport: how a camera of RTSP is to send.
    """

    scheme: NetworkScheme
    host: str
    port: int
    target: Secret
    credentials: Credentials | None = None
    transport: Transport = "tcp"

    @property
    def tls(self) -> bool:
        """Return whether the line is encrypted."""
        return self.scheme in ("rtsps", "https")

    @property
    def authority(self) -> str:
        """Return host and port as they stand in URLs, without a usual port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_address(connection_string: Secret) -> FileAddress | DeviceAddress | NetworkAddress:
    """Return what a connection string asks for.

    Raises:
        SourceFailure: it is no address that a worker opens.
    """
    text = connection_string.reveal()
    if any(not "!" <= character <= "~" for character in text.replace(" ", "%20")):
        raise _unusable()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _unusable() from None
    scheme = parts.scheme.lower()
    if scheme == "file":
        return _file(parts)
    if scheme == "v4l2":
        return _device(parts)
    for known, default_port in _PORTS.items():
        if scheme == known and host:
            return NetworkAddress(
                scheme=known,
                host=host,
                port=port or default_port,
                target=Secret(_target(parts, rtsp=known in ("rtsp", "rtsps"))),
                credentials=_credentials(parts),
                transport=_transport(parts, known),
            )
    raise _unusable()


def _file(parts: SplitResult) -> FileAddress:
    if parts.netloc not in ("", "localhost"):
        raise SourceFailure(
            "forbidden_address", "A file address has three slashes: file:///clip.mp4."
        )
    loop = parse_qs(parts.query).get("loop", ["true"])[-1].lower()
    return FileAddress(path=unquote(parts.path), loops=loop not in ("false", "0", "no"))


def _device(parts: SplitResult) -> DeviceAddress:
    if parts.netloc or parts.query or parts.fragment or not _DEVICE.fullmatch(parts.path):
        raise SourceFailure("forbidden_address", "A device is written v4l2:///dev/video0.")
    return DeviceAddress(path=parts.path)


def _target(parts: SplitResult, *, rtsp: bool) -> str:
    path = parts.path.replace(" ", "%20")
    query = parts.query.replace(" ", "%20")
    return (path or ("" if rtsp else "/")) + (f"?{query}" if query else "")


def _credentials(parts: SplitResult) -> Credentials | None:
    if parts.username is None:
        return None
    user, password = unquote(parts.username), unquote(parts.password or "")
    if any(ord(character) < 0x20 or character == "\x7f" for character in user + password):
        raise _unusable()  # they would end a header and begin another
    return Credentials(user=Secret(user), password=Secret(password))


def _transport(parts: SplitResult, scheme: NetworkScheme) -> Transport:
    transport = _TRANSPORTS.get(parts.fragment)
    if transport is None or (transport == "udp" and scheme != "rtsp"):
        raise SourceFailure(
            "forbidden_address",
            "After a # only transport=tcp or, for rtsp, transport=udp may stand; write # as %23.",
        )
    return transport


def _unusable() -> SourceFailure:
    return SourceFailure(
        "forbidden_address",
        "The camera's address cannot be used; give an rtsp, rtsps, http, https or file address.",
    )
