"""Who is calling: checks the site's tokens.

Tokens are JWTs signed with EdDSA. The control plane alone holds the private half; every service
checks with the public keys in the JWKS file, which is read again when it changes. The interceptor
chain puts the caller where ``current_caller`` finds it.
"""

import json
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import jwt

from dfip.options.v1 import policy_pb2
from service_runtime.clock import Clock
from service_runtime.errors import Unauthenticated, Unavailable
from service_runtime.revocations import FILE_NAME, RevocationFile

ISSUER = "dfip"
AUDIENCE = "dfip"
CONTROL_PLANE_AUDIENCE = "dfip.control_plane"  # of tokens that are good for nothing elsewhere
ALGORITHM = "EdDSA"
_REQUIRED_CLAIMS = ["exp", "iat", "aud", "iss", "sub", "jti", "role"]
_LONGEST_TOKEN = 4096
_LEEWAY_S = 5  # clocks of one site differ by less

Role = policy_pb2.Role
_LIMITABLE = frozenset({policy_pb2.ROLE_VIEWER, policy_pb2.ROLE_OPERATOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whom a valid token names."""

    subject: str
    role: policy_pb2.Role
    camera_id: str | None
    epoch: int | None
    token_id: str
    expires_at: datetime
    issued_at: datetime | None = None
    cameras: frozenset[str] | None = None  # what a person's token is limited to; None for all


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
    """Checks tokens against the keys in a JWKS file.

    Args:
        jwks_file: The site's public keys.
        clock: Tells whether a token has expired.
        audiences: Whom a token must be for, one of them.
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
    ) -> None:
        self._jwks_file = jwks_file
        self._clock = clock
        self._audiences = tuple(audiences)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at_mtime_ns = -1
        self._revoked = RevocationFile(jwks_file.with_name(FILE_NAME))
        self._heeds_replaced = heeds_replaced

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

    def require_standing(self, caller: Caller, *, outlives_time: bool = False) -> None:
        """Let a caller pass whose token still holds; streams ask again and again.

        Raises:
            Unauthenticated: ``TOKEN_EXPIRED``, unless it ``outlives_time``, or ``TOKEN_REVOKED``.
        """
        is_over = self._clock.now() >= caller.expires_at + timedelta(seconds=_LEEWAY_S)
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
            Unavailable: The site's keys cannot be read yet.
        """
        if len(token) > _LONGEST_TOKEN:
            raise _invalid()
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(str(header.get("kid", "")))
            if key is None or header.get("alg") != ALGORITHM or "crit" in header:
                raise _invalid()
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audiences,
                issuer=ISSUER,
                # the times are checked below, against the injected clock
                options={
                    "require": _REQUIRED_CLAIMS,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            return self._caller(claims)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError):
            raise _invalid() from None

    def _caller(self, claims: dict[str, Any]) -> Caller:
        now = self._clock.now().timestamp()
        if now >= float(claims["exp"]) + _LEEWAY_S:
            raise Unauthenticated("TOKEN_EXPIRED", "The token has expired; ask for a new one.")
        if float(claims["iat"]) > now + _LEEWAY_S:
            raise _invalid()
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

    def _key(self, key_id: str) -> jwt.PyJWK | None:
        try:
            mtime_ns = self._jwks_file.stat().st_mtime_ns
            if mtime_ns != self._read_at_mtime_ns:
                document = json.loads(self._jwks_file.read_bytes())
                keys = [jwt.PyJWK(key, algorithm=ALGORITHM) for key in document["keys"]]
                self._keys = {str(key.key_id): key for key in keys}
                self._read_at_mtime_ns = mtime_ns
        except FileNotFoundError:
            raise Unavailable(
                "KEYS_NOT_READY", "The control plane has not published its keys yet; try again."
            ) from None
        return self._keys.get(key_id)


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
