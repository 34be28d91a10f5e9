"""Which addresses a service connects to, in every spelling that a resolver may answer."""

import ipaddress
import socket

import pytest

from service_runtime.addresses import AddressPolicy, parse_networks

PUBLIC = AddressPolicy()
EVERYWHERE = AddressPolicy(networks=parse_networks("0.0.0.0/0, ::/0"))
REFUSED = [
    # this machine, and nobody
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::", "::1", "::ffff:127.0.0.1",
    "::ffff:0.0.0.0", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    # the link, and metadata
    "169.254.1.1", "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1", "fe80::1", "fe80::1%lo", "fd00:ec2::254", "168.63.129.16",
    "100.100.100.200", "fd20:ce::254",
    # private, shared, reserved, documentation, multicast
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::ffff:10.0.0.1",
    "64:ff9b::a00:1", "2002:c0a8:101::1", "100.64.0.1", "100.127.255.255", "192.0.0.8",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "255.255.255.255",
    "224.0.0.1", "239.255.255.250", "ff02::1", "fc00::1", "fdff::1", "fec0::1", "2001:db8::1",
    "2001::1", "2001:10::1", "3fff::1", "100::1", "64:ff9b:1::1", "5f00::1", "4000::1",
]  # fmt: skip
ALLOWED = [
    "1.1.1.1", "93.184.215.14", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1",
    "169.253.1.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1",
    "64:ff9b::101:101", "2002:101:101::1", "2001:200::1",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_public_is_closed(text: str) -> None:
    assert not PUBLIC.allows(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ALLOWED)
def test_public_addresses_are_open(text: str) -> None:
    assert PUBLIC.allows(ipaddress.ip_address(text))


@pytest.mark.parametrize("spelling", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0"])
def test_odd_spellings_are_judged_by_what_they_resolve_to(spelling: str) -> None:
    found = {str(answer[4][0]) for answer in socket.getaddrinfo(spelling, None)}
    assert not any(PUBLIC.allows(ipaddress.ip_address(text)) for text in found)


@pytest.mark.parametrize("spelling", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376"])
def test_odd_spellings_of_metadata_stay_closed_to_everybody(spelling: str) -> None:
    found = {str(answer[4][0]) for answer in socket.getaddrinfo(spelling, None)}
    assert found == {"169.254.169.254"}
    assert not EVERYWHERE.allows(ipaddress.ip_address("169.254.169.254"))


@pytest.mark.parametrize(
    ("networks", "text", "is_open"),
    [
        ("10.1.0.0/16", "10.1.2.3", True),
        ("10.1.0.0/16", "::ffff:10.1.2.3", True),
        ("10.1.0.0/16", "10.2.0.1", False),
        ("fd00:1::/64", "fd00:1::7", True),
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/8", "::1", False),
        ("::1/128", "::1", True),
        # a wide network opens what is private, and neither this machine nor the link
        ("0.0.0.0/0", "10.2.0.1", True),
        ("0.0.0.0/0", "127.0.0.1", False),
        ("0.0.0.0/0", "169.254.7.7", False),
        ("169.254.0.0/16", "169.254.7.7", True),
        # nothing opens these
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.0.0/16", "64:ff9b::a9fe:a9fe", False),
        ("fd00::/8", "fd00:ec2::254", False),
        ("0.0.0.0/0", "224.0.0.1", False),
        ("0.0.0.0/8", "0.0.0.0", False),
        ("100.64.0.0/10", "100.100.100.200", False),
        ("100.64.0.0/10", "100.64.3.4", True),
    ],
)
def test_networks_that_the_operator_names(networks: str, text: str, is_open: bool) -> None:
    policy = AddressPolicy(networks=parse_networks(networks))
    assert policy.allows(ipaddress.ip_address(text)) is is_open


def test_one_bad_answer_spoils_all() -> None:
    good, bad = ipaddress.ip_address("1.1.1.1"), ipaddress.ip_address("10.0.0.1")
    assert PUBLIC.allows_all([good])
    assert not PUBLIC.allows_all([good, bad])
    assert not PUBLIC.allows_all([])


def test_a_network_that_is_none_is_named() -> None:
    assert parse_networks("") == ()
    with pytest.raises(ValueError, match=r"'10\.0\.0\.1/8' is no network"):
        parse_networks("192.168.0.0/16,10.0.0.1/8")


SITE = AddressPolicy(beginning="site")
NOT_OF_A_SITE = [
    "127.0.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "0.0.0.0", "0.1.2.3", "::",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "169.254.1.1", "169.254.169.254",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fe80::1", "fe80::1%lo",
    "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "224.0.0.1", "239.255.255.250",
    "255.255.255.255", "240.0.0.1", "ff02::1", "2001::1",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_OF_A_SITE)
def test_a_site_has_neither_this_machine_nor_the_link_nor_metadata(text: str) -> None:
    assert not SITE.allows(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "172.16.0.1", "192.168.1.64", "100.64.0.1", "fd12:3456::1", "1.1.1.1"]
)
def test_a_site_has_private_and_public_addresses(text: str) -> None:
    assert SITE.allows(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("networks", "text", "is_open"),
    [
        ("192.168.7.0/24", "192.168.7.64", True),
        ("192.168.7.0/24", "192.168.8.64", False),
        ("192.168.7.0/24", "1.1.1.1", False),
        ("192.168.7.0/24", "::ffff:192.168.7.1", True),
        ("0.0.0.0/0", "127.0.0.1", False),
        ("127.0.0.1/32", "127.0.0.1", True),
        ("169.254.0.0/16", "169.254.9.9", True),
        ("169.254.0.0/16", "169.254.169.254", False),
    ],
)
def test_beginning_with_nothing_leaves_the_named_networks(
    networks: str, text: str, is_open: bool
) -> None:
    policy = AddressPolicy(networks=parse_networks(networks), beginning="nothing")
    assert policy.allows(ipaddress.ip_address(text)) is is_open
