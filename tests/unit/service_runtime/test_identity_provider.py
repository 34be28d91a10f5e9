"""Tokens of an identity provider: one algorithm, sound keys, people's roles and nothing more."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from dfip.options.v1 import policy_pb2
from service_runtime.authentication import Caller, TokenVerifier, role_name
from service_runtime.clock import SystemClock
from service_runtime.errors import PermissionDenied, Unauthenticated, Unavailable
from service_runtime.identity_provider import IdentityProviderSettings
from service_runtime.settings import SettingsError, load_settings
from tests.support.identity_provider import TestProvider
from tests.support.tokens import TestAuthority

CLOCK = SystemClock()


@pytest.fixture(scope="module", params=["RS256", "ES256", "EdDSA"])
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return TestProvider(tmp_path_factory.mktemp("p"), algorithm=request.param)


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


@pytest.fixture
def verify(authority: TestAuthority, provider: TestProvider) -> Callable[[str], Caller]:
    provider.publish(provider.public())
    return TokenVerifier(authority.jwks_file, CLOCK, provider=provider.settings()).verify


def test_somebody_of_the_provider_is_let_in_under_a_name_of_its_own(
    verify: Callable[[str], Caller], provider: TestProvider, authority: TestAuthority
) -> None:
    caller = verify(provider.token("viewer", "operator", "other", sub="administrator"))
    assert (caller.subject, role_name(caller.role)) == ("idp:administrator", "operator")
    assert caller.camera_id is None
    assert caller.epoch is None
    assert caller.issuer == provider.issuer
    assert caller.principal == verify(provider.token(sub="administrator")).principal
    assert caller.token_id != verify(provider.token(sub="administrator")).token_id
    assert verify(authority.token("viewer", sub="administrator")).subject == "administrator"


def test_times_are_kept(verify: Callable[[str], Caller], provider: TestProvider) -> None:
    now = int(datetime.now(UTC).timestamp())
    assert verify(provider.token(nbf=now - 10)).role == policy_pb2.ROLE_VIEWER
    with pytest.raises(Unauthenticated) as expired:
        verify(provider.token(lifetime_s=-60))
    assert expired.value.reason == "TOKEN_EXPIRED"
    for wrong in (
        {"nbf": now + 60}, {"iat": now + 60}, {"exp": float("nan")}, {"exp": float("inf")},
        {"exp": True}, {"exp": "tomorrow"}, {"iat": [now]}, {"nbf": float("nan")},
    ):  # fmt: skip
        with pytest.raises(Unauthenticated) as refused:
            verify(provider.token(**wrong))
        assert refused.value.reason == "TOKEN_INVALID", wrong


@pytest.mark.parametrize("claim", ["exp", "iat", "aud", "iss", "sub"])
def test_every_claim_is_required(
    verify: Callable[[str], Caller], provider: TestProvider, claim: str
) -> None:
    with pytest.raises(Unauthenticated):
        verify(provider.token(without=(claim,)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "other"}, {"aud": "dfip"}, {"iss": "dfip"}, {"iss": "https://id.example"},
        {"sub": ""}, {"sub": "x" * 300}, {"sub": "a\nb"}, {"sub": 7},
        {"headers": {"kid": "other"}}, {"headers": {"crit": ["exp"]}},
        {"headers": {"jku": "https://id.example/keys"}}, {"headers": {"jwk": {}}},
        {"headers": {"x5u": "https://id.example/c"}}, {"headers": {"x5c": ["MII"]}},
        {"groups": "x" * 6000},
    ],
)  # fmt: skip
def test_whatever_else_is_wrong_is_refused(
    verify: Callable[[str], Caller], provider: TestProvider, wrong: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        verify(provider.token(**wrong))


def test_nobody_passes_for_another_issuer(
    verify: Callable[[str], Caller], provider: TestProvider, authority: TestAuthority
) -> None:
    """The site's key signs nothing of the provider's, and the other way round."""
    machine: dict[str, Any] = {"iss": "dfip", "aud": "dfip", "role": "manager", "jti": "x"}
    for token in (
        authority.token(iss=provider.issuer, aud=provider.audience),
        provider.token(**machine),
        provider.token(**machine, headers={"kid": authority.key_id}),
        authority.token(headers={"kid": provider.key_id}),
    ):
        with pytest.raises(Unauthenticated):
            verify(token)


@pytest.mark.parametrize("role", ["worker", "manager", "index", "control_plane", "unspecified"])
def test_no_token_of_the_provider_makes_a_machine(
    verify: Callable[[str], Caller], provider: TestProvider, role: str
) -> None:
    with pytest.raises(PermissionDenied) as refused:
        verify(provider.token(role, role=role, camera_id="c", epoch=1))
    assert refused.value.reason == "ROLE_MISSING"
    caller = verify(provider.token("viewer", role=role, camera_id="c", epoch=1))
    assert (caller.role, caller.camera_id) == (policy_pb2.ROLE_VIEWER, None)


def test_a_name_is_needed_among_several_keys(
    verify: Callable[[str], Caller], provider: TestProvider
) -> None:
    unnamed = provider.token(headers={"kid": None})
    assert verify(unnamed).subject == "idp:alice"
    other = TestProvider(provider.jwks_file.parent, algorithm=provider.algorithm)
    provider.publish(provider.public(), other.public())
    assert verify(provider.token()).subject == "idp:alice"
    with pytest.raises(Unauthenticated):
        verify(unnamed)


def test_another_algorithm_than_the_pinned_one_is_refused(
    authority: TestAuthority, provider: TestProvider
) -> None:
    for algorithm in {"RS256", "ES256", "EdDSA"} - {provider.algorithm}:
        pinned = provider.settings(algorithm=algorithm)
        verifier = TokenVerifier(authority.jwks_file, CLOCK, provider=pinned)
        with pytest.raises(Unavailable):  # none of the provider's keys is good for it
            verifier.verify(provider.token())


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"}, {"alg": "HS256"}, {"kty": "oct", "k": "AAAA"}, {"d": "AAAA"},
        {"x": "", "n": "", "e": ""}, {"kty": None},
    ],
)  # fmt: skip
def test_a_key_for_something_else_is_none(
    authority: TestAuthority, provider: TestProvider, members: dict[str, Any]
) -> None:
    provider.publish(provider.public(**members))
    with pytest.raises(Unavailable):
        TokenVerifier(authority.jwks_file, CLOCK, provider=provider.settings()).verify(
            provider.token()
        )


def test_a_short_or_foreign_key_is_none(authority: TestAuthority, tmp_path: Path) -> None:
    short = TestProvider(tmp_path, algorithm="RS256", bits=1024)
    with pytest.warns(match="below the minimum"):
        token = short.token()
    with pytest.raises(Unavailable):
        TokenVerifier(authority.jwks_file, CLOCK, provider=short.settings()).verify(token)
    for algorithm, key in (("ES256", ec.generate_private_key(ec.SECP384R1())),
                           ("EdDSA", ed448.Ed448PrivateKey.generate())):  # fmt: skip
        other = TestProvider(tmp_path, algorithm=algorithm)
        token = other.token()
        other.key = key
        other.publish(other.public())
        with pytest.raises(Unavailable):
            TokenVerifier(authority.jwks_file, CLOCK, provider=other.settings()).verify(token)


def test_a_file_that_breaks_leaves_the_keys_in_force(
    verify: Callable[[str], Caller], provider: TestProvider
) -> None:
    token = provider.token()
    verify(token)
    for text in ("{", "[]", '{"keys": 7}', '{"keys": [7]}', "x" * 300_000, "[" * 100_000):
        provider.jwks_file.write_text(text)
        assert verify(token).subject == "idp:alice"
    provider.jwks_file.write_text(json.dumps({"keys": []}))
    with pytest.raises(Unavailable):
        verify(token)


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["guards"]}}, "viewer"),
        ("https://x.example/roles", {"https://x.example/roles": "boss"}, "admin"),
        ("groups", {"groups": ["guards", "boss"]}, "admin"),
        ("groups", {"groups": ["admin", 7, None]}, None),
        ("groups", {"groups": {"boss": True}}, None),
        ("a.b", {"a": ["boss"]}, None),
    ],
)
def test_roles_are_read_where_the_operator_says(
    claim: str, claims: dict[str, Any], role: str | None
) -> None:
    settings = IdentityProviderSettings(
        idp_issuer="i", idp_audience="a", idp_jwks_file=Path("k"), idp_algorithm="ES256",
        idp_role_claim=claim, idp_roles="boss=admin,guards=viewer",
    )  # fmt: skip
    provider = settings.identity_provider()
    assert provider is not None
    found = provider.role_of(claims)
    assert (None if found is None else role_name(found)) == role


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"DFIP_IDP_ISSUER": ""}, "needs all of"),
        ({"DFIP_IDP_ALGORITHM": "HS256"}, "must be one of RS256, ES256, EdDSA"),
        ({"DFIP_IDP_ALGORITHM": "RS256,ES256"}, "must be one of"),
        ({"DFIP_IDP_ISSUER": "dfip"}, "must not be dfip"),
        ({"DFIP_IDP_ROLES": "x=manager"}, "must be written like"),
        ({"DFIP_IDP_ROLES": "admin"}, "must be written like"),
    ],
)
def test_wrong_settings_say_so(changes: dict[str, str], sentence: str) -> None:
    environ = {
        "DFIP_IDP_ISSUER": "i", "DFIP_IDP_AUDIENCE": "a", "DFIP_IDP_JWKS_FILE": "k",
        "DFIP_IDP_ALGORITHM": "ES256",
    } | changes  # fmt: skip
    with pytest.raises(SettingsError, match=sentence):
        load_settings(IdentityProviderSettings, environ).identity_provider()


def test_without_settings_there_is_no_provider() -> None:
    assert load_settings(IdentityProviderSettings, {}).identity_provider() is None
