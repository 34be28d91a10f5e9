"""Who is calling: checks the tokens of the site and, where there is one, of an identity provider.

Tokens are JWTs. The site's own are signed with EdDSA: the control plane alone holds the private
half, every service checks with the public keys in the JWKS file. A key belongs to one issuer, so
the key that a token names decides whose rules hold: its algorithm, issuer, audience and claims. The
interceptor chain puts the caller where ``current_caller`` finds it.
"""

import hashlib
import math
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import jwt
from jwt.types import Options

from dfip.options.v1 import policy_pb2
from service_runtime.clock import Clock
from service_runtime.errors import PermissionDenied, Unauthenticated
from service_runtime.identity_provider import IdentityProvider
from service_runtime.key_sets import KeySet
from service_runtime.revocations import FILE_NAME, RevocationFile
from service_runtime.verified_tokens import VerifiedToken, VerifiedTokens

ISSUER = "dfip"
AUDIENCE = "dfip"
CONTROL_PLANE_AUDIENCE = "dfip.control_plane"  # of tokens that are good for nothing elsewhere
ALGORITHM = "EdDSA"
_REQUIRED_CLAIMS = ["exp", "iat", "aud", "iss", "sub", "jti", "role"]
_REQUIRED_OF_PROVIDER = ["exp", "iat", "aud", "iss", "sub"]
# they are checked at every use, against the injected clock
_TIMES_UNCHECKED: Final[Options] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}
# headers that would have the token itself say how, or with whose key, it is to be checked
_FORBIDDEN_HEADERS = frozenset({"crit", "jku", "jwk", "x5u", "x5c"})
_LONGEST_TOKEN = 6144
_LONGEST_SUBJECT = 200
LEEWAY_S = 5  # clocks of one site differ by less

Role = policy_pb2.Role
_LIMITABLE = frozenset({policy_pb2.ROLE_VIEWER, policy_pb2.ROLE_OPERATOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a ticket lets its bearer see: one thing, in one way (``media_tickets.py``)."""

    purpose: str
    object_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whom a valid token names.

    The subject of a provider's token begins with ``idp:``, so that nobody there can be taken for
    somebody of the site. ``principal`` is whom quotas count: a provider makes tokens as often as
    it is asked, the site's own are told once.
    """

    subject: str
    role: policy_pb2.Role
    camera_id: str | None
    epoch: int | None
    token_id: str
    expires_at: datetime
    issued_at: datetime | None = None
    cameras: frozenset[str] | None = None  # what a person's token is limited to; None for all
    issuer: str = ISSUER
    ticket: Ticket | None = None  # what the call must keep to, where a ticket let it in

    @property
    def principal(self) -> str:
        """Who is counted as one."""
        return self.token_id if self.issuer == ISSUER else self.subject


_current: ContextVar[Caller] = ContextVar("dfip_caller")


def current_caller() -> Caller:
    """Return who made the call that is being handled.

    Raises:
        LookupError: Outside of an authenticated call.
    """
    return _current.get()


def set_current_caller(caller: Caller) -> None:
    """Remember the caller for the rest of this task; the interceptor chain calls it."""
    _current.set(caller)


def role_name(role: policy_pb2.Role) -> str:
    """Return a role as it stands in a token: ``viewer``."""
    return policy_pb2.Role.Name(role).removeprefix("ROLE_").lower()


def role_from_name(name: str) -> policy_pb2.Role:
    """Return the role with this name.

    Raises:
        ValueError: There is none.
    """
    role = policy_pb2.Role.Value(f"ROLE_{name.upper()}")
    if role == policy_pb2.ROLE_UNSPECIFIED:
        raise ValueError(f"{name} is no role")
    return cast(policy_pb2.Role, role)


class TokenVerifier:
    """Checks tokens against the keys of who may issue them.

    Args:
        jwks_file: The site's public keys.
        clock: Tells whether a token has expired.
        audiences: Whom a token of the site must be for, one of them.
        provider: Whose tokens are taken beside the site's.
        heeds_replaced: Refuse the tokens of workers that were replaced. The control plane lets
            them in, to tell them so.
    """

    def __init__(
        self,
        jwks_file: Path,
        clock: Clock,
        *,
        audiences: Sequence[str] = (AUDIENCE,),
        heeds_replaced: bool = True,
        provider: IdentityProvider | None = None,
    ) -> None:
        self._clock = clock
        self._audiences = tuple(audiences)
        self._keys = KeySet(jwks_file, ALGORITHM)
        self._provider = provider
        self._keys_of_provider = (
            None if provider is None else KeySet(provider.jwks_file, provider.algorithm)
        )
        self._revoked = RevocationFile(jwks_file.with_name(FILE_NAME))
        self._heeds_replaced = heeds_replaced
        self._known: VerifiedTokens[Caller] = VerifiedTokens()

    def verify(self, token: str) -> Caller:
        """Return whom the token names.

        Raises:
            Unauthenticated: It is malformed, of another site, expired, revoked, or signed by nobody
                we know.
            Unavailable: The site's keys cannot be read yet.
        """
        caller = self._verified(token)
        self.require_standing(caller)
        return caller

    def claims_of_site(
        self, token: str, *, audience: str, required: Sequence[str]
    ) -> dict[str, Any]:
        """Return the claims of something else that the site has signed, and that holds now.

        Raises:
            Unauthenticated: It is malformed, of another site, for something else, or expired.
            Unavailable: The site's keys cannot be read yet.
        """
        if len(token) > _LONGEST_TOKEN:
            raise _invalid()
        try:
            header, key, provider = self._signed(token)
            if provider is not None:
                raise _invalid()
            claims = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=audience,
                issuer=ISSUER,
                options={**_TIMES_UNCHECKED, "require": [*_REQUIRED_OF_PROVIDER, *required]},
            )
            self._require_times(*_times(claims))
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError):
            raise _invalid() from None
        return claims

    def require_standing(self, caller: Caller, *, outlives_time: bool = False) -> None:
        """Let a caller pass whose token still holds; streams ask again and again.

        Raises:
            Unauthenticated: ``TOKEN_EXPIRED``, unless it ``outlives_time``, or ``TOKEN_REVOKED``.
        """
        is_over = self._clock.now() >= caller.expires_at + timedelta(seconds=LEEWAY_S)
        if is_over and not outlives_time:
            raise Unauthenticated("TOKEN_EXPIRED", "The token has expired; ask for a new one.")
        issued_at = caller.issued_at.timestamp() if caller.issued_at is not None else 0
        revoked = self._revoked.current()
        if revoked.names(token_id=caller.token_id, subject=caller.subject, issued_at=issued_at) or (
            self._heeds_replaced
            and revoked.replaces(
                token_id=caller.token_id, camera_id=caller.camera_id, epoch=caller.epoch
            )
        ):
            raise Unauthenticated(
                "TOKEN_REVOKED", "The token was revoked; ask an administrator for a new one."
            )

    def _verified(self, token: str) -> Caller:
        """Return whom the token names, whether it was revoked or not.

        Raises:
            Unauthenticated: It is malformed, of another site, expired, or signed by nobody we know.
            PermissionDenied: The provider knows the person, but gives no role here.
            Unavailable: The site's keys cannot be read yet.
        """
        if len(token) > _LONGEST_TOKEN:
            raise _invalid()
        known = self._known.find(token)
        if known is not None and self._key(known.key_id)[0] is known.key:
            self._require_times(known.begins, known.ends)
            return known.caller
        # another key may have this name now, so all of it is checked anew
        self._known.forget(token)
        try:
            verified = self._checked(token)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError):
            raise _invalid() from None
        self._known.keep(token, verified)
        return verified.caller

    def _checked(self, token: str) -> VerifiedToken[Caller]:
        """Check everything about a token but whether it was revoked."""
        header, key, provider = self._signed(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=[header["alg"]],
            audience=self._audiences if provider is None else provider.audience,
            issuer=ISSUER if provider is None else provider.issuer,
            options={
                **_TIMES_UNCHECKED,
                "require": _REQUIRED_CLAIMS if provider is None else _REQUIRED_OF_PROVIDER,
            },
        )
        begins, ends = _times(claims)
        self._require_times(begins, ends)
        caller = (
            _caller_of_site(claims)
            if provider is None
            else _caller_of_provider(token, claims, provider)
        )
        return VerifiedToken(
            caller=caller, key_id=header.get("kid", ""), key=key, begins=begins, ends=ends
        )

    def _signed(self, token: str) -> tuple[dict[str, Any], jwt.PyJWK, IdentityProvider | None]:
        """Return the header, the key that it names, and the provider, where it is a provider's.

        Raises:
            Unauthenticated: There is no such key, or the header is not as it has to be with it.
        """
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid", "")
        if not _FORBIDDEN_HEADERS.isdisjoint(header) or not isinstance(key_id, str):
            raise _invalid()
        key, provider = self._key(key_id)
        algorithm = ALGORITHM if provider is None else provider.algorithm
        if key is None or header.get("alg") != algorithm:
            raise _invalid()
        return header, key, provider

    def _key(self, key_id: str) -> tuple[jwt.PyJWK | None, IdentityProvider | None]:
        """Return the key of this name as it is now, and the provider, where it is the provider's.

        Raises:
            Unavailable: The keys cannot be read yet.
        """
        site_key = self._keys.find(key_id) if key_id else None
        if site_key is not None or self._keys_of_provider is None:
            return site_key, None
        return self._keys_of_provider.find(key_id), self._provider

    def _require_times(self, begins: float, ends: float) -> None:
        """Let a token pass that holds now, as clocks of a site differ.

        Raises:
            Unauthenticated: It has expired, or does not hold yet.
        """
        now = self._clock.now().timestamp()
        if now >= ends + LEEWAY_S:
            raise Unauthenticated("TOKEN_EXPIRED", "The token has expired; ask for a new one.")
        if begins > now + LEEWAY_S:
            raise _invalid()


def _caller_of_site(claims: dict[str, Any]) -> Caller:
    camera_id, epoch = claims.get("camera_id"), claims.get("epoch")
    if not isinstance(camera_id, str | None) or not isinstance(epoch, int | None):
        raise _invalid()
    return Caller(
        subject=str(claims["sub"]),
        role=role_from_name(str(claims["role"])),
        camera_id=camera_id,
        epoch=epoch,
        token_id=str(claims["jti"]),
        expires_at=datetime.fromtimestamp(float(claims["exp"]), UTC),
        issued_at=datetime.fromtimestamp(float(claims["iat"]), UTC),
        cameras=_cameras(claims),
    )


def _caller_of_provider(token: str, claims: dict[str, Any], provider: IdentityProvider) -> Caller:
    subject = claims["sub"]
    if not subject or len(subject) > _LONGEST_SUBJECT or not subject.isprintable():
        raise _invalid()
    role = provider.role_of(claims)
    if role is None:
        raise PermissionDenied(
            "ROLE_MISSING", "Your account has no role here; ask an administrator for one."
        )
    token_id = claims.get("jti") or hashlib.sha256(token.encode()).hexdigest()[:32]
    return Caller(
        subject=f"idp:{subject}",
        role=role,
        camera_id=None,
        epoch=None,
        token_id=f"idp:{token_id}",
        expires_at=datetime.fromtimestamp(float(claims["exp"]), UTC),
        issued_at=datetime.fromtimestamp(float(claims["iat"]), UTC),
        issuer=provider.issuer,
    )


def _times(claims: dict[str, Any]) -> tuple[float, float]:
    """Return when a token begins and ends to hold."""
    begins = max(_seconds(claims["iat"]), _seconds(claims.get("nbf", 0)))
    return begins, _seconds(claims["exp"])


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no time")
    return float(value)


def _cameras(claims: dict[str, Any]) -> frozenset[str] | None:
    """Return the cameras that a token is limited to; a limit that cannot be read is none of ours.

    Raises:
        ValueError: It is no list of texts, or a role has it that cannot be limited.
    """
    if "cameras" not in claims:
        return None
    cameras = claims["cameras"]
    is_list = isinstance(cameras, list) and all(isinstance(one, str) for one in cameras)
    if not is_list or role_from_name(str(claims["role"])) not in _LIMITABLE:
        raise ValueError("cameras")
    return frozenset(cameras)


def _invalid() -> Unauthenticated:
    return Unauthenticated(
        "TOKEN_INVALID", "The token is not valid here; ask an administrator for one."
    )
