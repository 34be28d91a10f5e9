"""Reads a camera's connection string into what kind of source it is.

Pure: nothing is opened or resolved here. The address of a network camera stays a secret from the
first line on. `opening.py` turns the result into a source.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from service_runtime.secret import Secret
from vision_worker.sources.failure import SourceFailure

NetworkScheme = Literal["rtsp", "rtsps", "http", "https"]
_PORTS: dict[NetworkScheme, int] = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


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
class NetworkAddress:
    """A camera on the network; `url` holds its credentials."""

    scheme: NetworkScheme
    host: str
    port: int
    url: Secret


def parse_address(connection_string: Secret) -> FileAddress | NetworkAddress:
    """Return what a connection string asks for.

    Raises:
        SourceFailure: it is no address that a worker opens.
    """
    text = connection_string.reveal()
    if any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise _unusable()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _unusable() from None
    scheme = parts.scheme.lower()
    if scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise SourceFailure(
                "forbidden_address", "A file address has three slashes: file:///clip.mp4."
            )
        loop = parse_qs(parts.query).get("loop", ["true"])[-1].lower()
        return FileAddress(path=unquote(parts.path), loops=loop not in ("false", "0", "no"))
    for known, default_port in _PORTS.items():
        if scheme == known and host:
            return NetworkAddress(
                scheme=known, host=host, port=port or default_port, url=connection_string
            )
    raise _unusable()


def _unusable() -> SourceFailure:
    return SourceFailure(
        "forbidden_address",
        "The camera's address cannot be used; give an rtsp, rtsps, http, https or file address.",
    )
