"""Minting of tokens: Ed25519-signed JWTs, whose public half everybody else verifies with.

The key is made at the first start and never leaves ``keys_dir``. The JWKS names it by its RFC 7638
thumbprint, which is also the ``kid`` of every token. ``servicer.py`` issues for people,
``bootstrap.py`` for the machines of the site, the camera registry for workers.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.atomic_files import write_atomically
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import ALGORITHM, AUDIENCE, ISSUER, role_name
from service_runtime.clock import Clock
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret

KEY_FILE: Final = "signing.pem"


class SigningKeyError(Exception):
    """The signing key cannot be used; the text says which file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token, to be told once and kept nowhere."""

    token: Secret
    expires_at: datetime
    token_id: str


class TokenIssuer:
    """Mints tokens with the key in ``keys_dir``. Call ``ensure_keys`` before use."""

    def __init__(self, keys_dir: Path, clock: Clock) -> None:
        self._key_file = keys_dir / KEY_FILE
        self._clock = clock
        self._key: Ed25519PrivateKey | None = None

    def ensure_keys(self) -> None:
        """Read the signing key, and make it (0600) where there is none.

        Raises:
            SigningKeyError: The file holds no Ed25519 key.
        """
        if not self._key_file.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            self._key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._key_file, pem)
        try:
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError(
                f"{self._key_file} holds no Ed25519 key; restore it from a backup, or remove it to"
                " make a new one, which ends every token."
            )
        self._key = key

    @property
    def key_id(self) -> str:
        """Thumbprint of the key in use, the ``kid`` of every token (RFC 7638)."""
        # RFC 7638: the members crv, kty, x in this order without blanks
        canonical = json.dumps(
            {"crv": "Ed25519", "kty": "OKP", "x": self._public_x()}, separators=(",", ":")
        )
        return _unpadded(hashlib.sha256(canonical.encode("ascii")).digest())

    def jwks(self) -> dict[str, Any]:
        """Return the public half, as a JSON Web Key Set (RFC 7517, RFC 8037)."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": self._public_x(),
                    "kid": self.key_id,
                    "use": "sig",
                    "alg": ALGORITHM,
                }
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
        token = jwt.encode(
            claims, self._signing_key(), algorithm=ALGORITHM, headers={"kid": self.key_id}
        )
        return IssuedToken(token=Secret(token), expires_at=expires_at, token_id=token_id)

    def _signing_key(self) -> Ed25519PrivateKey:
        assert self._key is not None, "ensure_keys was not called"  # noqa: S101 - a defect
        return self._key

    def _public_x(self) -> str:
        public = self._signing_key().public_key()
        return _unpadded(
            public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
