"""Tokens that the control plane mints are what every other service accepts."""

import base64
import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.tokens.issuer import SigningKey, TokenIssuer
from control_plane.tokens.signing_file import SigningFile, SigningKeyError
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import TokenVerifier
from service_runtime.errors import Unauthenticated
from tests.support.keys import issuer_with, new_issuer
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def issuer(clock: VirtualClock) -> TokenIssuer:
    return new_issuer(clock)


def verifier(tmp_path: Path, issuer: TokenIssuer, clock: VirtualClock) -> TokenVerifier:
    jwks_file = tmp_path / "jwks.json"
    jwks_file.write_text(json.dumps(issuer.jwks()))
    return TokenVerifier(jwks_file, clock)


def test_a_token_names_its_caller(tmp_path: Path, issuer: TokenIssuer, clock: VirtualClock) -> None:
    issued = issuer.issue(
        policy_pb2.ROLE_WORKER, subject="worker-1", lifetime_s=60, camera_id="cam", epoch=7
    )
    caller = verifier(tmp_path, issuer, clock).verify(issued.token.reveal())
    assert (caller.subject, caller.role) == ("worker-1", policy_pb2.ROLE_WORKER)
    assert (caller.camera_id, caller.epoch) == ("cam", 7)
    assert (caller.token_id, caller.expires_at) == (issued.token_id, issued.expires_at)


async def test_a_token_ends(tmp_path: Path, issuer: TokenIssuer, clock: VirtualClock) -> None:
    token = issuer.issue(policy_pb2.ROLE_VIEWER, subject="v", lifetime_s=60).token.reveal()
    accepts = verifier(tmp_path, issuer, clock)
    await clock.advance(59)
    accepts.verify(token)
    await clock.advance(10)
    with pytest.raises(Unauthenticated):
        accepts.verify(token)


def test_another_sites_token_is_refused(
    tmp_path: Path, issuer: TokenIssuer, clock: VirtualClock
) -> None:
    stranger = new_issuer(clock)
    token = stranger.issue(policy_pb2.ROLE_ADMIN, subject="x", lifetime_s=60).token.reveal()
    with pytest.raises(Unauthenticated):
        verifier(tmp_path, issuer, clock).verify(token)


def test_the_key_id_is_the_thumbprint_that_others_compute(clock: VirtualClock) -> None:
    # RFC 8037, appendix A.3 gives this key and its thumbprint
    key = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
    private = jwt.algorithms.OKPAlgorithm.from_jwk(json.dumps(key))
    assert isinstance(private, Ed25519PrivateKey)
    issuer = issuer_with(SigningKey.of(private), clock)
    assert issuer.key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    (public,) = issuer.jwks()["keys"]
    assert public["x"] == key["x"]
    assert "d" not in public


@pytest.mark.parametrize("content", [b"", b"-----BEGIN nothing", "not ed25519"])
def test_an_earlier_releases_file_that_holds_no_key_is_named(
    tmp_path: Path, content: bytes | str
) -> None:
    if isinstance(content, str):
        content = generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    (tmp_path / "signing.pem").write_bytes(content)
    with pytest.raises(SigningKeyError, match=r"signing\.pem holds no Ed25519 key"):
        SigningFile(tmp_path).read()


def test_a_token_is_not_printed(issuer: TokenIssuer) -> None:
    issued = issuer.issue(policy_pb2.ROLE_ADMIN, subject="x", lifetime_s=60)
    assert issued.token.reveal() not in repr(issued)
    assert "private" not in repr(issuer._signing)
    header = issued.token.reveal().split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["kid"] == issuer.key_id
