"""A site's signing key, for tests that need tokens of every kind, forged ones among them."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.tokens.issuer import TokenIssuer


class TestAuthority:
    """Signs tokens with a key of its own and publishes it where verifiers look."""

    __test__ = False  # not a test case, whatever its name says

    def __init__(
        self, folder: Path, *, now: datetime | None = None, key_id: str | None = None
    ) -> None:
        self._now = now
        self._key = Ed25519PrivateKey.generate()
        public = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key()))
        self.key_id = key_id or uuid.uuid4().hex
        self.jwks_file = folder / "jwks.json"
        keys = [{**public, "kid": self.key_id, "alg": "EdDSA", "use": "sig"}]
        self.jwks_file.write_text(json.dumps({"keys": keys}))

    @classmethod
    def with_key_of(cls, issuer: TokenIssuer, jwks_file: Path) -> "TestAuthority":
        """Return one that signs what a site's issuer would never say, with the issuer's key."""
        made = cls.__new__(cls)
        made._now = None
        made._key = issuer._signing_key().private
        made.key_id = issuer.key_id
        made.jwks_file = jwks_file
        return made

    def token(
        self,
        role: str = "admin",
        *,
        camera_id: str | None = None,
        epoch: int | None = None,
        lifetime_s: int = 3600,
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        now = int((self._now or datetime.now(UTC)).timestamp())
        payload: dict[str, Any] = {
            "iss": "dfip", "aud": "dfip", "sub": f"test-{role}", "jti": uuid.uuid4().hex,
            "iat": now, "exp": now + lifetime_s, "role": role,
        }  # fmt: skip
        if camera_id is not None:
            payload["camera_id"] = camera_id
        if epoch is not None:
            payload["epoch"] = epoch
        payload |= claims
        return jwt.encode(
            payload, self._key, algorithm="EdDSA", headers={"kid": self.key_id, **(headers or {})}
        )
