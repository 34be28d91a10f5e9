"""A token is checked once, and what may change about it at every use, although it is known."""

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from dfip.options.v1 import policy_pb2
from service_runtime.authentication import Caller, TokenVerifier
from service_runtime.errors import Unauthenticated, Unavailable
from service_runtime.revocations import FILE_NAME, RevocationList
from service_runtime.verified_tokens import VerifiedToken, VerifiedTokens
from tests.support.identity_provider import TestProvider
from tests.support.tokens import TestAuthority
from tests.support.virtual_clock import VirtualClock


class Site:
    """A verifier that knows tokens, and how often it looked at a signature."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = VirtualClock(datetime.now(UTC).replace(microsecond=0))
        self.authority = TestAuthority(folder, now=self.clock.now())
        self.provider = TestProvider(folder, algorithm="ES256")
        self.provider.publish(self.provider.public())
        self.verifier = TokenVerifier(
            self.authority.jwks_file, self.clock, provider=self.provider.settings()
        )
        self.checked = 0
        decode = jwt.decode

        def counted(*args: object, **kwargs: object) -> object:
            self.checked += 1
            return decode(*args, **kwargs)  # type: ignore[arg-type]  # whatever it was given

        monkeypatch.setattr(jwt, "decode", counted)

    def known(self, token: str) -> Caller:
        """Have a token known, and see that it is."""
        caller = self.verifier.verify(token)
        before = self.checked
        assert self.verifier.verify(token) == caller
        assert self.checked == before
        return caller

    def refusal(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as refused:
            self.verifier.verify(token)
        return refused.value.reason

    def publish(self, *authorities: TestAuthority) -> None:
        keys = [
            key
            for authority in authorities
            for key in json.loads(authority.jwks_file.read_text())["keys"]
        ]
        fresh = self.authority.jwks_file.with_name("fresh")
        fresh.write_text(json.dumps({"keys": keys}))
        fresh.replace(self.authority.jwks_file)

    def revoke(self, revoked: RevocationList) -> None:
        fresh = self.authority.jwks_file.with_name("fresh")
        fresh.write_bytes(revoked.encode())
        fresh.replace(self.authority.jwks_file.with_name(FILE_NAME))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_a_signature_is_looked_at_once(site: Site) -> None:
    tokens = [site.authority.token("viewer"), site.authority.token("worker", camera_id="c")]
    tokens.append(site.provider.token("viewer"))
    for _ in range(3):
        for token in tokens:
            site.verifier.verify(token)
    assert site.checked == len(tokens)


async def test_a_known_token_expires(site: Site) -> None:
    for token in (
        site.authority.token(lifetime_s=60),
        site.provider.token("viewer", lifetime_s=60),
    ):
        site.known(token)
    await site.clock.advance(64)
    site.known(token)
    await site.clock.advance(1)
    assert site.refusal(token) == "TOKEN_EXPIRED"


async def test_a_known_token_holds_no_more_when_the_clock_is_put_before_its_time(
    site: Site,
) -> None:
    await site.clock.advance(100)
    now = int(site.clock.now().timestamp())
    for token in (site.authority.token(nbf=now), site.authority.token(iat=now)):
        site.known(token)
        site.clock.set_back(6)
        assert site.refusal(token) == "TOKEN_INVALID"
        site.clock.set_back(-6)


def test_a_known_token_is_revoked_by_its_id_and_by_its_subject(site: Site) -> None:
    by_id, by_subject = site.authority.token(sub="a"), site.authority.token(sub="b")
    other = site.authority.token(sub="c")
    caller = site.known(by_id)
    for token in (by_subject, other):
        site.known(token)
    later = int(site.clock.now().timestamp()) + 1
    site.revoke(RevocationList(tokens=frozenset({caller.token_id}), subjects={"b": later}))
    assert site.refusal(by_id) == "TOKEN_REVOKED"
    assert site.refusal(by_subject) == "TOKEN_REVOKED"
    site.known(other)


def test_a_known_workers_token_is_replaced_by_an_epoch(site: Site) -> None:
    token = site.authority.token("worker", camera_id="c", epoch=1)
    site.known(token)
    site.revoke(RevocationList(epochs={"c": 2}))
    assert site.refusal(token) == "TOKEN_REVOKED"


def test_a_known_token_ends_with_its_key(site: Site, tmp_path: Path) -> None:
    other = TestAuthority(_made(tmp_path / "other"), now=site.clock.now())
    old, new = site.authority.token(), other.token()
    first = json.loads(site.authority.jwks_file.read_text())
    site.known(old)
    site.publish(site.authority, other)
    site.known(old)
    site.known(new)
    site.publish(other)
    assert site.refusal(old) == "TOKEN_INVALID"
    site.known(new)
    # back, under the same name: checked anew
    (tmp_path / "jwks.json").write_text(json.dumps(first))
    site.known(old)
    (tmp_path / "jwks.json").unlink()
    with pytest.raises(Unavailable):
        site.verifier.verify(old)


def test_a_known_token_does_not_outlive_its_key_under_another_with_the_same_name(
    site: Site, tmp_path: Path
) -> None:
    other = TestAuthority(_made(tmp_path / "other"), key_id=site.authority.key_id)
    token = site.authority.token()
    site.known(token)
    site.publish(other)
    assert site.refusal(token) == "TOKEN_INVALID"


def test_a_known_token_of_a_provider_ends_with_its_key(site: Site, tmp_path: Path) -> None:
    token = site.provider.token("viewer")
    site.known(token)
    other = TestProvider(_made(tmp_path / "other"), algorithm="ES256")
    site.provider.publish(other.public())
    assert site.refusal(token) == "TOKEN_INVALID"


def test_what_is_refused_is_not_known(site: Site, tmp_path: Path) -> None:
    stranger = TestAuthority(_made(tmp_path / "stranger"), key_id=site.authority.key_id)
    for token in (stranger.token(), site.authority.token(aud="other"), "x.y.z", "\udc80"):
        for _ in range(2):
            assert site.refusal(token) == "TOKEN_INVALID"
    assert len(site.verifier._known) == 0


def test_the_text_of_a_token_is_kept_nowhere(site: Site) -> None:
    token = site.authority.token()
    site.known(token)
    kept = pickle.dumps([(name, one.caller) for name, one in site.verifier._known._found.items()])
    assert token.rpartition(".")[2].encode() not in kept
    assert token.encode() not in kept


def test_only_so_many_are_known_and_the_ones_seen_last_stay(site: Site) -> None:
    known: VerifiedTokens[int] = VerifiedTokens(most=3)
    key = site.verifier._keys.find(site.authority.key_id)
    assert key is not None
    for number in range(3):
        known.keep(str(number), VerifiedToken(caller=number, key_id="k", key=key, begins=0, ends=1))
    assert known.find("0") is not None
    known.keep("3", VerifiedToken(caller=3, key_id="k", key=key, begins=0, ends=1))
    assert [known.find(str(number)) is not None for number in range(4)] == [True, False, True, True]
    assert len(known) == 3


def test_roles_are_those_of_the_token(site: Site) -> None:
    assert site.known(site.authority.token("viewer")).role == policy_pb2.ROLE_VIEWER
    assert site.known(site.authority.token("admin")).role == policy_pb2.ROLE_ADMIN


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
