"""Which network addresses a service may connect to on somebody else's word.

Pure: an address comes in, a verdict comes out. Whoever connects resolves a name once, asks about
every answer, and connects to the very literal that was judged, so that a name that changes its mind
in between (DNS rebinding) changes nothing.

A policy begins with public addresses, with those that a site uses (public and private ones), or
with nothing; every other range (IANA IPv4 and IPv6 Special-Purpose Address Registries) is closed
until the operator names a network. Addresses that carry an IPv4 address inside are judged by that
one. ``ipaddress.is_global`` is not asked: it differs between versions of Python and takes NAT64 and
6to4 forms of private addresses for public ones.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# no network that an operator names opens these: metadata of clouds, everybody, and nobody
_NEVER: Final = _networks(
    "169.254.169.254/32", "169.254.170.2/32", "168.63.129.16/32", "100.100.100.200/32",
    "fd00:ec2::254/128", "fd20:ce::254/128", "0.0.0.0/32", "::/128", "224.0.0.0/4", "ff00::/8",
    "255.255.255.255/32",
)  # fmt: skip
# a network opens these only from inside: 0.0.0.0/0 does not mean this machine
_BY_ITS_OWN_NAME: Final = _networks("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")
_CLOSED_V4: Final = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
_OPEN_V6: Final = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6: Final = _networks("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
# not even a site's own network has these; Teredo and the local NAT64 prefixes wrap other addresses
_NOBODYS: Final = _networks(
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
    "::/8", "2001::/32", "fe80::/10", "ff00::/8",
)  # fmt: skip
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What may be connected to.

    Attributes:
        networks: Networks that the operator opened, besides those open from the start.
        beginning: What is open from the start: ``public`` addresses; those of a ``site``, which are
            public and private ones; or ``nothing``.
    """

    networks: tuple[Network, ...] = ()
    beginning: Literal["public", "site", "nothing"] = "public"

    def allows(self, address: Address) -> bool:
        """Tell whether the address may be connected to."""
        inner = unmapped(address)
        # what is wrapped is judged, and so is a wrapping that no operator can mean
        if any(candidate in network for candidate in (address, inner) for network in _NEVER):
            return False
        if self.beginning == "public" and is_public(inner):
            return True
        if self.beginning == "site" and not any(inner in network for network in _NOBODYS):
            return True
        return any(inner in network and _opens(network, inner) for network in self.networks)

    def allows_all(self, addresses: Iterable[Address]) -> bool:
        """Tell whether there are addresses and each may be connected to."""
        found = list(addresses)
        return bool(found) and all(self.allows(address) for address in found)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list such as ``10.0.0.0/8, fd00:1::/64``.

    Raises:
        ValueError: A part is no network; the text names it.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    networks = []
    for part in parts:
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError:
            raise ValueError(f"{part!r} is no network such as 10.0.0.0/8") from None
    return tuple(networks)


def unmapped(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one (mapped, NAT64, 6to4), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Tell whether an address, unmapped, is one of the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


def _opens(network: Network, address: Address) -> bool:
    """Tell whether a network is narrow enough to mean the special range of the address."""
    return all(_is_inside(network, special) for special in _BY_ITS_OWN_NAME if address in special)


def _is_inside(network: Network, special: Network) -> bool:
    return (
        network.version == special.version
        and network.network_address in special
        and network.broadcast_address in special
    )
