"""An identity provider as tests need one: any algorithm, and every kind of forgery."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from service_runtime.identity_provider import PEOPLE, IdentityProvider


class TestProvider:
    """Signs tokens with one key and publishes it in a JWKS file."""

    __test__ = False  # not a test case, whatever its name says

    issuer = "https://id.example/realms/site"
    audience = "cams"

    def __init__(self, folder: Path, *, algorithm: str = "RS256", bits: int = 2048) -> None:
        self.algorithm = algorithm
        self.key_id = uuid.uuid4().hex
        self.key: Any
        if algorithm == "RS256":
            self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        elif algorithm == "ES256":
            self.key = ec.generate_private_key(ec.SECP256R1())
        else:
            self.key = ed25519.Ed25519PrivateKey.generate()
        self.jwks_file = folder / "provider.json"
        self.publish(self.public())

    def public(self, **members: Any) -> dict[str, Any]:
        """Return the entry of its key, with members changed; None removes one."""
        known = jwt.algorithms.get_default_algorithms()[self.algorithm]
        entry = json.loads(known.to_jwk(self.key.public_key()))
        entry.pop("key_ops", None)
        entry |= {"kid": self.key_id, "alg": self.algorithm, "use": "sig"} | members
        return {name: value for name, value in entry.items() if value is not None}

    def publish(self, *entries: dict[str, Any]) -> None:
        """Replace the file of keys."""
        fresh = self.jwks_file.with_suffix(".new")
        fresh.write_text(json.dumps({"keys": entries}))
        fresh.replace(self.jwks_file)

    def settings(self, **changes: Any) -> IdentityProvider:
        """Return what the services are told of it."""
        values: dict[str, Any] = {
            "issuer": self.issuer, "audience": self.audience, "jwks_file": self.jwks_file,
            "algorithm": self.algorithm, "role_claim": "roles", "roles": PEOPLE,
        }  # fmt: skip
        return IdentityProvider(**(values | changes))

    def token(
        self,
        *roles: str,
        lifetime_s: int = 300,
        headers: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """Sign a token of somebody with these roles, a viewer's by default."""
        now = int(datetime.now(UTC).timestamp())
        payload: dict[str, Any] = {
            "iss": self.issuer, "aud": self.audience, "sub": "alice", "iat": now,
            "exp": now + lifetime_s, "roles": list(roles or ("viewer",)),
        }  # fmt: skip
        payload |= claims
        for name in without:
            payload.pop(name)
        named = {"kid": self.key_id} | (headers or {})
        kept = {name: value for name, value in named.items() if value is not None}
        return jwt.encode(payload, self.key, algorithm=self.algorithm, headers=kept)
