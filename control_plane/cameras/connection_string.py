"""Whether a connection string has an acceptable form. Nothing is resolved, opened or connected to.

Parsers of addresses disagree about odd forms, and what disagrees can be used to reach another host
than the one that was checked; so the forms here are narrow: what needs an escape must be escaped.
The worker checks the address itself when it opens it. No sentence of an error repeats any part of
the connection string, which may hold credentials.
"""

import ipaddress
import os.path
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

from service_runtime.errors import FieldViolation, InvalidArgument

NETWORK_SCHEMES: Final = frozenset({"rtsp", "rtsps", "http", "https"})

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([/?#].*)?", re.ASCII)
# RFC 3986: userinfo, reg-name or literal, port; no @, : or % beyond their places
_AUTHORITY = re.compile(
    r"(?:(?P<userinfo>(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_\-.]{0,252}[A-Za-z0-9_.])?)"
    r"(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)
_TRANSPORT = re.compile(r"transport=(tcp|udp)", re.ASCII)
_DEVICE = re.compile(r"/dev/video[0-9]{1,3}", re.ASCII)
_FILE_QUERY = re.compile(r"(\?loop=(true|false))?", re.ASCII)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """What the operator allows cameras to be.

    Attributes:
        media_root: Folder of the operator's clips, absolute.
        devices: Cameras may be devices of the machine that the worker runs on.
    """

    media_root: Path
    devices: bool = False


def check_connection_string(text: str, rules: ConnectionRules) -> str:
    """Return the scheme, in lower case, of an acceptable connection string.

    Args:
        text: ``rtsp://``, ``rtsps://``, ``http://`` or ``https://`` with a host, for ``rtsp`` also
            ``#transport=udp`` at its end; ``file:///`` with an absolute path below the media root,
            ``?loop=false`` after it or not; or ``v4l2:///dev/video0``.
        rules: What the operator allows.

    Raises:
        InvalidArgument: ``CONNECTION_STRING_INVALID``, with the reason.
    """
    if any(not "!" <= character <= "~" for character in text):
        raise _invalid(
            "it holds a space, a control character or a letter outside ASCII; write such"
            " characters percent-encoded, a space as %20"
        )
    if "\\" in text or _BROKEN_ESCAPE.search(text):
        raise _invalid("it holds a backslash or a % that starts no escape; write them %5C and %25")
    match = _URL.fullmatch(text)
    if match is None:
        raise _invalid(f"it must begin with {_beginnings(rules)}")
    scheme, authority, rest = match.group(1).lower(), match.group(2), match.group(3) or ""
    if scheme == "file":
        _check_file(authority, rest, rules.media_root)
    elif scheme in NETWORK_SCHEMES:
        _check_network(authority, rest)
        _check_fragment(scheme, rest)
    elif scheme == "v4l2":
        _check_device(authority, rest, rules)
    else:
        raise _invalid(f"it must begin with {_beginnings(rules)}")
    return scheme


def _beginnings(rules: ConnectionRules) -> str:
    known = "rtsp://, rtsps://, http://, https://"
    return f"{known}, file:/// or v4l2:///" if rules.devices else f"{known} or file:///"


def _check_device(authority: str, rest: str, rules: ConnectionRules) -> None:
    if not rules.devices:
        raise _invalid(
            "devices of the machine are not allowed here; the operator may start DFIP with"
            " --allow-devices"
        )
    if authority or not _DEVICE.fullmatch(rest):
        raise _invalid("a device is written v4l2:///dev/video and its number")


def _check_fragment(scheme: str, rest: str) -> None:
    _, mark, fragment = rest.partition("#")
    if not mark:
        return
    transport = _TRANSPORT.fullmatch(fragment)
    if transport is None or scheme not in ("rtsp", "rtsps"):
        raise _invalid("after a # only transport=udp may stand, for rtsp; write any other # as %23")
    if scheme == "rtsps" and transport[1] == "udp":
        raise _invalid("over UDP the pictures of rtsps would not be encrypted; leave it out")


def _check_network(authority: str, rest: str) -> None:
    if "@" in rest or authority.count("@") > 1:
        raise _invalid(
            "user and password must be percent-encoded, @ as %40, / as %2F, : as %3A, # as %23"
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise _invalid(
            "a host is needed after the scheme, as in rtsp://user:password@host:554/path, with"
            " special characters of the password percent-encoded"
        )
    port = match.group("port")
    if port is not None and not 0 < int(port) < 65536:
        raise _invalid("the port must be between 1 and 65535")
    host = match.group("host")
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise _invalid("what stands in brackets is no IPv6 address") from None
    elif ".." in host:
        raise _invalid("the host has an empty part between two dots")


def _check_file(authority: str, rest: str, media_root: Path) -> None:
    path, separator, query = rest.partition("?")
    if authority or not path.startswith("/") or "#" in rest:
        raise _invalid("a file is written file:///, then its absolute path, with # as %23")
    if not _FILE_QUERY.fullmatch(separator + query):
        raise _invalid("after a file's path only ?loop=false or ?loop=true may stand")
    decoded = unquote(path, errors="replace")
    if any(not character.isprintable() for character in decoded) or "\ufffd" in decoded:
        raise _invalid("the path of the file holds a character that cannot be printed")
    parts = PurePosixPath(decoded).parts
    root = Path(os.path.normpath(media_root))
    if ".." in parts or root not in Path(*parts).parents or decoded.startswith("//"):
        raise _invalid(f"the file must lie below the media root {root}")


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(
        "CONNECTION_STRING_INVALID",
        f"The connection string is not acceptable: {why}.",
        violations=[FieldViolation(field="connection_string", description=why)],
    )
