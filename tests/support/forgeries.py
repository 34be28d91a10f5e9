"""Tokens and headers that nobody may get in with, whatever role they claim."""

import base64
import hashlib
import hmac
import json
import tempfile
from pathlib import Path

from tests.support.tokens import TestAuthority


def forged_headers(authority: TestAuthority) -> dict[str, tuple[str, ...]]:
    """Return values of the header ``authorization``, by what is wrong with them."""
    good, viewer = authority.token("admin"), authority.token("viewer")
    tokens = forged_tokens(authority)
    return {name: (f"Bearer {token}",) for name, token in tokens.items()} | {
        "nothing": (),
        "no scheme": (good,),
        "other scheme": (f"Basic {good}",),
        "twice": (f"Bearer {good}", f"Bearer {good}"),
        "two in one": (f"Bearer {good}, Bearer {good}",),
        "two kinds": (f"Bearer {viewer}", f"Bearer {good}"),
    }


def forged_tokens(authority: TestAuthority) -> dict[str, str]:
    """Return tokens by what is wrong with them."""
    head, body, signature = authority.token("admin").split(".")
    document = json.loads(authority.jwks_file.read_text())
    (public,) = (key["x"] for key in document["keys"] if key["kid"] == authority.key_id)
    none_head = _encoded({"alg": "none", "kid": authority.key_id})
    hs_head = _encoded({"alg": "HS256", "kid": authority.key_id})
    with tempfile.TemporaryDirectory(prefix="dfip-") as folder:
        stranger = TestAuthority(Path(folder))
    return {
        "expired": authority.token("admin", lifetime_s=-60),
        "issued in the future": authority.token("admin", iat=4_000_000_000, exp=4_000_003_600),
        "not before the future": authority.token("admin", nbf=4_000_000_000),
        "issuer": authority.token("admin", iss="other"),
        "audience": authority.token("admin", aud="other"),
        "no role": authority.token(""),
        "role unspecified": authority.token("unspecified"),
        "unknown role": authority.token("emperor"),
        "list of roles": authority.token(["admin"]),  # type: ignore[arg-type]  # on purpose
        "key id": authority.token("admin", headers={"kid": "other"}),
        "no key id": authority.token("admin", headers={"kid": ""}),
        "critical": authority.token("admin", headers={"crit": ["exp"]}),
        "keys elsewhere": authority.token("admin", headers={"jku": "https://evil.example/keys"}),
        "other site": stranger.token("admin"),
        "other site's under our key's name": stranger.token(
            "admin", headers={"kid": authority.key_id}
        ),
        "unsigned": f"{none_head}.{body}.",
        "unsigned with a signature": f"{none_head}.{body}.{signature}",
        "public key as secret": _signed(hs_head, body, _decoded(public)),
        "key file as secret": _signed(hs_head, body, authority.jwks_file.read_bytes()),
        "other body": f"{head}.{_encoded({'role': 'admin'})}.{signature}",
        "role raised": _raised(authority.token("viewer")),
        "cut": f"{head}.{body}",
        "empty": "",
        "nonsense": "nonsense",
    }


def _raised(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(_decoded(body)) | {"role": "admin"}
    return f"{head}.{_encoded(claims)}.{signature}"


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed(head: str, body: str, secret: bytes) -> str:
    digest = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
