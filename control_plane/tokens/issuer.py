"""Minting of tokens: Ed25519-signed JWTs, whose public half everybody else verifies with.

The keys come from ``control_plane.keys.signing``: one signs, every one of them is in the JWKS, by
its RFC 7638 thumbprint, which is also the ``kid`` of its tokens. ``servicer.py`` issues for people,
``bootstrap.py`` for the machines of the site, the camera registry for workers.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dfip.options.v1 import policy_pb2
from service_runtime.authentication import ALGORITHM, AUDIENCE, ISSUER, role_name
from service_runtime.clock import Clock
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key pair.

    Attributes:
        id: Thumbprint of the public half (RFC 7638), the ``kid`` of its tokens.
        public_x: The public half as a JSON Web Key spells it.
    """

    id: str
    public_x: str
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> Self:
        """Name a key."""
        public_x = _unpadded(private.public_key().public_bytes_raw())
        # RFC 7638: the members crv, kty, x in this order without blanks
        canonical = json.dumps(
            {"crv": "Ed25519", "kty": "OKP", "x": public_x}, separators=(",", ":")
        )
        thumbprint = _unpadded(hashlib.sha256(canonical.encode("ascii")).digest())
        return cls(id=thumbprint, public_x=public_x, private=private)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token, to be told once and kept nowhere."""

    token: Secret
    expires_at: datetime
    token_id: str


class TokenIssuer:
    """Mints tokens. Give it keys with ``use`` first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: tuple[SigningKey, ...] = ()
        self._signing: SigningKey | None = None

    def use(self, keys: Sequence[SigningKey], *, signing: str) -> None:
        """Publish these keys, and sign with the one of this id, from now on."""
        (self._signing,) = (key for key in keys if key.id == signing)
        self._keys = tuple(keys)

    def now(self) -> datetime:
        """Return the time that tokens go by."""
        return self._clock.now()

    @property
    def key_id(self) -> str:
        """Thumbprint of the key that signs, the ``kid`` of every new token (RFC 7638)."""
        return self._signing_key().id

    def jwks(self) -> dict[str, Any]:
        """Return the public halves, as a JSON Web Key Set (RFC 7517, RFC 8037)."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": key.public_x,
                    "kid": key.id,
                    "use": "sig",
                    "alg": ALGORITHM,
                }
                for key in self._keys
            ]
        }

    def issue(
        self,
        role: policy_pb2.Role,
        *,
        subject: str,
        lifetime_s: float,
        camera_id: str | None = None,
        epoch: int | None = None,
        cameras: Sequence[str] = (),
        audience: str = AUDIENCE,
    ) -> IssuedToken:
        """Mint a token.

        Args:
            role: What it allows.
            subject: Whom it is for, as audit rows name them.
            lifetime_s: Seconds until it ends.
            camera_id: The one camera of a worker's token.
            epoch: The epoch of a worker's token.
            cameras: What a person's token is limited to; without any, it is not.
            audience: Which services take it; all of the site by default.
        """
        now = self._clock.now()
        expires_at = (now + timedelta(seconds=lifetime_s)).replace(microsecond=0)
        token_id = new_id()
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": audience,
            "sub": subject,
            "role": role_name(role),
            "jti": token_id,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        if camera_id is not None:
            claims["camera_id"] = camera_id
        if epoch is not None:
            claims["epoch"] = epoch
        if cameras:
            claims["cameras"] = list(cameras)
        return IssuedToken(token=self.sign(claims), expires_at=expires_at, token_id=token_id)

    def sign(self, claims: Mapping[str, Any]) -> Secret:
        """Return a JWT with these claims, and no others."""
        token = jwt.encode(
            dict(claims),
            self._signing_key().private,
            algorithm=ALGORITHM,
            headers={"kid": self.key_id},
        )
        return Secret(token)

    def _signing_key(self) -> SigningKey:
        assert self._signing is not None, "the issuer has no key"  # noqa: S101 - a defect
        return self._signing


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
