"""Answers to challenges, by the examples of the RFCs, and which challenge is answered."""

import base64

import pytest

from service_runtime.secret import Secret
from vision_worker.sources.relay.authorization import (
    Authorization,
    Challenge,
    Credentials,
    digest,
    parse_challenges,
)

RFC_2617 = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int",'
    ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
RFC_2069 = (
    'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
    ' opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm},'
    ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
    ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
NONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("header", "password", "client_nonce", "response"),
    [
        (RFC_2069, "CircleOfLife", "", "1949323746fe6a43ef61f9606e7febea"),
        (RFC_2617, "Circle Of Life", "0a4f113b", "6629fae49393a05397450978507c4ef1"),
        (
            RFC_7616.format(algorithm="MD5"),
            "Circle of Life",
            NONCE_7616,
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            RFC_7616.format(algorithm="SHA-256"),
            "Circle of Life",
            NONCE_7616,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ],
    ids=["RFC 2069, errata 749", "RFC 2617", "RFC 7616, MD5", "RFC 7616, SHA-256"],
)
def test_the_examples_of_the_standards(
    header: str, password: str, client_nonce: str, response: str
) -> None:
    (challenge,) = parse_challenges([header])
    answer = digest(
        challenge,
        user="Mufasa",
        password=password,
        method="GET",
        uri="/dir/index.html",
        client_nonce=client_nonce,
        uses=1,
    )
    assert f'response="{response}"' in answer
    assert f'opaque="{challenge.values["opaque"]}"' in answer
    assert ("nc=00000001" in answer) is ("qop" in challenge.values)
    assert password not in answer


def test_a_session_key_needs_the_client_nonce() -> None:
    # computed by hand from RFC 2617, 3.2.2.2: H(H(u:r:p):nonce:cnonce)
    challenge = Challenge(
        scheme="digest", values={"realm": "r", "nonce": "n", "algorithm": "MD5-sess"}
    )
    answer = digest(
        challenge, user="u", password="p", method="PLAY", uri="x", client_nonce="c", uses=1
    )
    assert 'cnonce="c"' in answer
    assert 'response="8b0dac19477a4caf3bb593fb8dbf74d7"' in answer


def authorization(user: str = "u", password: str = "p") -> Authorization:
    return Authorization(
        Credentials(user=Secret(user), password=Secret(password)), client_nonce=lambda: "c"
    )


def test_nothing_is_sent_unasked() -> None:
    assert authorization().header("GET", "/") is None
    nobody = Authorization(None)
    assert not nobody.challenged(['Basic realm="x"'], answered=False)
    assert nobody.header("GET", "/") is None


def test_the_strongest_of_several_challenges_is_answered() -> None:
    md5 = 'Digest realm="a, b=c", nonce="1"'
    sha = 'Digest realm="x", nonce="2", algorithm=SHA-256, qop="auth"'
    for headers in (
        ["Basic realm=x", md5, sha],
        [f'{sha}, {md5}, Basic realm="x"'],
        [f"NTLM, Negotiate abc==, {md5}, {sha}"],
    ):
        one = authorization()
        assert one.challenged(headers, answered=False)
        header = one.header("GET", "/") or ""
        assert header.startswith("Digest ")
        assert 'nonce="2"' in header
        assert "algorithm=SHA-256" in header


@pytest.mark.parametrize(
    "header",
    [
        "NTLM",
        'Digest realm="x"',
        'Digest realm="x", nonce="1", algorithm=SHA-1024',
        'Digest realm="x", nonce="1", qop="auth-int"',
        "",
        '"""',
        '= , =, "',
    ],
)
def test_what_cannot_be_answered(header: str) -> None:
    assert not authorization().challenged([header], answered=False)


def test_uses_of_a_nonce_are_counted_and_begin_again_with_a_new_one() -> None:
    one = authorization()
    assert one.challenged(['Digest realm="x", nonce="1", qop="auth"'], answered=False)
    assert "nc=00000001" in (one.header("SETUP", "x") or "")
    assert "nc=00000002" in (one.header("PLAY", "x") or "")
    assert one.challenged(['Digest realm="x", nonce="2", qop="auth"'], answered=False)
    assert "nc=00000001" in (one.header("PLAY", "x") or "")


def test_a_wrong_password_is_not_tried_again_but_a_stale_nonce_is() -> None:
    one = authorization()
    assert one.challenged(['Digest realm="x", nonce="1"'], answered=False)
    assert not one.challenged(['Digest realm="x", nonce="2"'], answered=True)
    assert one.challenged(['Digest realm="x", nonce="3", stale=TRUE'], answered=True)


def test_basic_and_quotes() -> None:
    one = authorization('us"er\\', "p:ä")
    assert one.challenged(['Basic realm="x"'], answered=False)
    header = one.header("GET", "/") or ""
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == 'us"er\\:p:ä'
    assert one.challenged(['Digest realm="x", nonce="1"'], answered=False)
    assert 'username="us\\"er\\\\"' in (one.header("GET", "/") or "")
