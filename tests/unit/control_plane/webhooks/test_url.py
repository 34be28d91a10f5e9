"""Which addresses of receivers are acceptable, and what is taken out of them."""

import pytest

from control_plane.webhooks.url import (
    WebhookNetworksError,
    parse_receiver,
    receiver_policy,
    require_allowed,
)
from service_runtime.errors import InvalidArgument

CANARY = "canary-3d1f"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("https://Example.org", ("https", "example.org", 443, "example.org", "/")),
        ("HTTPS://a.example:443/x?y=1", ("https", "a.example", 443, "a.example", "/x?y=1")),
        ("https://a.example:8443/x", ("https", "a.example", 8443, "a.example:8443", "/x")),
        ("http://a.example?token=1", ("http", "a.example", 80, "a.example", "/?token=1")),
        ("https://[2606:4700::1]:1/", ("https", "2606:4700::1", 1, "[2606:4700::1]:1", "/")),
        ("https://1.1.1.1/", ("https", "1.1.1.1", 443, "1.1.1.1", "/")),
        ("https://a.example/@x", ("https", "a.example", 443, "a.example", "/@x")),
    ],
)
def test_an_address_is_taken_apart(text: str, parts: tuple[str | int, ...]) -> None:
    found = parse_receiver(text)
    assert (found.scheme, found.host, found.port, found.authority, found.target) == parts


@pytest.mark.parametrize(
    "text",
    [
        f"ftp://a.example/{CANARY}", f"file:///{CANARY}", f"//{CANARY}/", CANARY, "",
        f"https://user:{CANARY}@a.example/", f"https://{CANARY}@a.example",
        f"https://a.example#{CANARY}", f"https://a.example/ {CANARY}",
        f"https://a.example/\r\nX: {CANARY}", f"https://a.example\\{CANARY}",
        f"https://a.example/%x{CANARY}", "https://ä.example/", "https://a..example/",
        "https://a.example./", "https://-a.example/", f"https://{'a' * 64}.example/",
        "https://a.example:0/", "https://a.example:65536/", "https://a.example:/",
        "https:///x", "https://[::1", "https://[1.2.3.4]/", "https://[fe80::1%25lo]/",
        # what the C library would take for an address
        "https://127.1/", "https://0x7f000001/", "https://2852039166/", "https://0/",
        "https://0251.0376.0251.0376/", "https://127.0.0.01/", "https://0x7f.1/", "https://1.2.3/",
        "https://127.0.0.1./",
    ],
)  # fmt: skip
def test_odd_forms_are_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_receiver(text)
    assert refused.value.reason == "WEBHOOK_URL_INVALID"
    assert CANARY not in refused.value.sentence


def test_what_the_site_allows() -> None:
    public = receiver_policy(networks="", http=False)
    inside = receiver_policy(networks="10.0.0.0/8", http=True)
    for text in ("https://a.example/", "https://1.1.1.1/", "https://[2606:4700::1]/"):
        require_allowed(parse_receiver(text), public)
    for text in (
        "http://a.example/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/",
        "https://169.254.169.254/", "https://[::ffff:10.0.0.1]/",
    ):  # fmt: skip
        with pytest.raises(InvalidArgument):
            require_allowed(parse_receiver(text), public)
    require_allowed(parse_receiver("http://10.0.0.1/"), inside)
    with pytest.raises(InvalidArgument):
        require_allowed(parse_receiver("http://127.0.0.1/"), inside)


def test_networks_that_are_none_are_a_setting_to_correct() -> None:
    with pytest.raises(WebhookNetworksError, match="DFIP_WEBHOOK_NETWORKS: 'x' is no network"):
        receiver_policy(networks="x", http=False)
