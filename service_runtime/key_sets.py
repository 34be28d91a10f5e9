"""The public keys of an issuer of tokens: a JWKS file, read again whenever it changes.

What the file holds is not believed: only keys of the one algorithm that the issuer is pinned to are
taken, and only strong ones. A file that cannot be read anew leaves the keys in force, so that one
half written does not shut everybody out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from service_runtime.errors import Unavailable
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
_KINDS: Final[Mapping[str, tuple[str, str | None]]] = {  # algorithm to kty and crv
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
_LEAST_RSA_BITS = 2048
_MOST_RSA_BITS = 8192
_MOST_KEYS = 64
_LONGEST_FILE = 256 * 1024


class KeySet:
    """The keys in a JWKS file that are good for one algorithm.

    Args:
        path: The file; who writes it replaces it in one step.
        algorithm: One of ``ALGORITHMS``.
    """

    def __init__(self, path: Path, algorithm: str) -> None:
        self._path = path
        self._algorithm = algorithm
        self._keys: dict[str, jwt.PyJWK] = {}
        self._unnamed: list[jwt.PyJWK] = []
        self._read_of: tuple[int, int] | None = None

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of this name; without a name, the only key there is.

        Raises:
            Unavailable: No keys have been published yet.
        """
        self._refresh()
        if key_id:
            return self._keys.get(key_id)
        everything = [*self._keys.values(), *self._unnamed]
        return everything[0] if len(everything) == 1 else None

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            state = (found.st_mtime_ns, found.st_ino)
            if state != self._read_of:
                self._read()
                self._read_of = state
        except FileNotFoundError:
            self._keys, self._unnamed, self._read_of = {}, [], None
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            _log.error("keys.unreadable", file=self._path.name)
            self._read_of = state
        if not self._keys and not self._unnamed:
            raise Unavailable("KEYS_NOT_READY", "The keys are not published yet; try again.")

    def _read(self) -> None:
        with self._path.open("rb") as file:
            text = file.read(_LONGEST_FILE + 1)
        if len(text) > _LONGEST_FILE:
            raise ValueError("the file is too long")
        entries = json.loads(text)["keys"]
        keys: dict[str, jwt.PyJWK] = {}
        unnamed: list[jwt.PyJWK] = []
        for entry in entries[:_MOST_KEYS]:
            key = _sound_key(entry, self._algorithm)
            if key is None:
                continue
            if name := entry.get("kid"):
                keys[str(name)] = key
            else:
                unnamed.append(key)
        self._keys, self._unnamed = keys, unnamed


def _sound_key(entry: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """Return the key of an entry; None where it is for something else, secret or weak."""
    kind, curve = _KINDS[algorithm]
    if entry.get("kty") != kind or (curve is not None and entry.get("crv") != curve):
        return None
    if entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key = jwt.PyJWK(dict(entry), algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key.key, RSAPublicKey) and not (
        _LEAST_RSA_BITS <= key.key.key_size <= _MOST_RSA_BITS
    ):
        return None
    return key
