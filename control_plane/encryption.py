"""Encryption of single values at rest: AES-256-GCM with a key that lives outside the database.

A sealed value is ``key id (1 byte) | nonce (12) | ciphertext and tag``. Table, column and row are
additional data, so that a ciphertext moved to another row does not open. The key file has one
``id:base64`` a line; the last line seals, every line opens, which is what rotation needs.
"""

import base64
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control_plane.atomic_files import write_atomically

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class VaultError(Exception):
    """A key file or a sealed value that cannot be used; the text holds no secret."""


class Vault:
    """Seals and opens values. ``load`` it before use."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._keys: dict[int, AESGCM] = {}
        self._sealing = 0

    def load(self) -> None:
        """Read the key file, and make it (0600) where there is none.

        Raises:
            VaultError: The file is not one of ours.
        """
        if not self._key_file.exists():
            _create(self._key_file)
        try:
            for line in self._key_file.read_text(encoding="ascii").splitlines():
                number, _, encoded = line.partition(":")
                key = base64.b64decode(encoded, validate=True)
                if len(key) != _KEY_BYTES or not 0 < int(number) < 256:
                    raise ValueError
                self._sealing = int(number)
                self._keys[self._sealing] = AESGCM(key)
        except ValueError:
            raise VaultError(f"{self._key_file} is not a key file; restore it.") from None
        if not self._keys:
            raise VaultError(f"{self._key_file} is empty; restore it from a backup.")

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: str) -> bytes:
        """Return ``plaintext`` encrypted for one place in the database."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        place = _place(table, column, row_id)
        sealed = self._keys[self._sealing].encrypt(nonce, plaintext, place)
        return bytes([self._sealing]) + nonce + sealed

    def open(self, sealed: bytes, *, table: str, column: str, row_id: str) -> bytes:
        """Return what was sealed for this place.

        Raises:
            VaultError: The value was sealed with another key or for another place, or was changed.
        """
        key = self._keys.get(sealed[0]) if sealed else None
        if key is None:
            raise VaultError(f"{table}.{column} was sealed with a key that is not here.")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return key.decrypt(nonce, body, _place(table, column, row_id))
        except (InvalidTag, ValueError):
            raise VaultError(f"{table}.{column} does not open with its key.") from None


def _place(table: str, column: str, row_id: str) -> bytes:
    return f"{table}\x00{column}\x00{row_id}".encode()


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")
    write_atomically(path, f"1:{key}\n".encode("ascii"))
