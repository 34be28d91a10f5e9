"""The address of a receiver: whether its form is acceptable, and what a request needs of it.

Pure: nothing is resolved or connected to. Parsers of addresses disagree about odd forms, and what
disagrees can be used to reach another host than the one that was judged; so the forms are narrow,
and what was taken apart here is never parsed again (``sender.py`` connects with these parts). No
sentence repeats any part of the address, which may hold a token.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from service_runtime.addresses import Address, AddressPolicy, parse_networks
from service_runtime.errors import FieldViolation, InvalidArgument

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_\-.]{0,251}[A-Za-z0-9_])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][^#]*)?",
    re.ASCII,
)
# what the C library takes for an IPv4 address: 127.1, 0x7f000001, 2852039166, 0251.0376.1
_NUMERIC: Final = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)(?:\.(?:0[xX][0-9A-Fa-f]*|[0-9]+))*")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """An address taken apart.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name in lower case, or an address without brackets.
        literal: The address, where the host is one.
        port: Port to connect to.
        authority: Value of the Host header.
        target: Path and query.
    """

    scheme: str
    host: str
    literal: Address | None
    port: int
    authority: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverPolicy:
    """Which receivers the site allows.

    Attributes:
        addresses: Which addresses may be connected to.
        http: Whether unencrypted HTTP is allowed.
    """

    addresses: AddressPolicy
    http: bool = False


class WebhookNetworksError(Exception):
    """Networks that are none."""


def receiver_policy(*, networks: str, http: bool) -> ReceiverPolicy:
    """Return what the settings allow.

    Raises:
        WebhookNetworksError: A network is none.
    """
    try:
        opened = parse_networks(networks)
    except ValueError as error:
        raise WebhookNetworksError(f"DFIP_WEBHOOK_NETWORKS: {error}") from None
    return ReceiverPolicy(addresses=AddressPolicy(networks=opened), http=http)


def parse_receiver(text: str) -> Receiver:
    """Take an address apart.

    Raises:
        InvalidArgument: ``WEBHOOK_URL_INVALID``, with the reason.
    """
    if any(not "!" <= character <= "~" for character in text):
        raise _invalid(
            "it holds a space, a control character or a letter outside ASCII; write such"
            " characters percent-encoded, and names with them as xn--…"
        )
    if "#" in text:
        raise _invalid("it holds a #; receivers never see what comes after it, so leave it out")
    if "@" in text.partition("://")[2].partition("/")[0].partition("?")[0]:
        raise _invalid("it holds a user or a password; a signature shows who sends, leave them out")
    if "\\" in text or _BROKEN_ESCAPE.search(text):
        raise _invalid("it holds a backslash or a % that starts no escape; write them %5C and %25")
    match = _URL.fullmatch(text)
    if match is None or match["scheme"].lower() not in _PORTS:
        raise _invalid("it must be like https://host/path")
    scheme, host = match["scheme"].lower(), match["host"].lower()
    port = int(match["port"]) if match["port"] else _PORTS[scheme]
    if not 0 < port < 65536:
        raise _invalid("the port must be between 1 and 65535")
    target = match["target"] or "/"
    return Receiver(
        scheme=scheme,
        host=host.strip("[]"),
        literal=_literal(host),
        port=port,
        authority=host if port == _PORTS[scheme] else f"{host}:{port}",
        target=target if target.startswith("/") else f"/{target}",
    )


def require_allowed(receiver: Receiver, policy: ReceiverPolicy) -> None:
    """Let a receiver pass that the site allows, as far as its address alone tells.

    A name is judged by what it resolves to, at each attempt.

    Raises:
        InvalidArgument: ``WEBHOOK_URL_INVALID``, with the reason.
    """
    if receiver.scheme == "http" and not policy.http:
        raise _invalid("this site posts to https only; DFIP_WEBHOOK_HTTP=1 allows http")
    if receiver.literal is not None and not policy.addresses.allows(receiver.literal):
        raise _invalid(
            "this site does not post to that network; DFIP_WEBHOOK_NETWORKS names the networks"
            " besides public ones that it posts to"
        )


def _literal(host: str) -> Address | None:
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise _invalid("what stands in brackets is no IPv6 address") from None
    if _NUMERIC.fullmatch(host):
        try:
            return ipaddress.IPv4Address(host)
        except ValueError:
            raise _invalid("write an IPv4 address as four decimal numbers") from None
    if ".." in host or len(max(host.split("."), key=len)) > 63:
        raise _invalid("the host has a part between dots that is empty or too long")
    return None


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(
        "WEBHOOK_URL_INVALID",
        f"The webhook's address is not acceptable: {why}.",
        violations=[FieldViolation(field="url", description=why)],
    )
