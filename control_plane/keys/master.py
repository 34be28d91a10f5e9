"""The master key: the one secret outside the database, which wraps the data keys inside it.

Its file has one ``number:base64`` a line, 32 bytes each. The last line wraps; every line unwraps,
which is what rotation needs, and what opens values from before there were data keys. A master key
is known by a digest of itself, so that two files can be told apart without showing either.

The key itself is used for old values alone: what wraps is derived from it (HKDF-SHA-256, RFC 5869).
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from control_plane.atomic_files import write_atomically
from control_plane.encryption import KEY_BYTES, NONCE_BYTES, VaultError

_MOST_KEYS: Final = 255
_LARGEST_FILE: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKey:
    """One line of the file.

    Attributes:
        number: 1 to 255, the first byte of values from before there were data keys.
        id: What it is known by; says nothing about the key.
    """

    number: int
    id: str
    values: AESGCM = field(repr=False)
    wrapping: AESGCM = field(repr=False)

    def wrap(self, data_key: bytes, key_id: int) -> bytes:
        """Return a data key as the database keeps it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self.wrapping.encrypt(nonce, data_key, _label(key_id))

    def unwrap(self, wrapped: bytes, key_id: int) -> bytes:
        """Return the data key.

        Raises:
            VaultError: This is not the master key that wrapped it, or the row was changed.
        """
        try:
            return self.wrapping.decrypt(
                wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _label(key_id)
            )
        except (InvalidTag, ValueError):
            raise VaultError(
                f"data key {key_id} of the database does not open with its master key; restore the"
                " database from a backup."
            ) from None


class MasterKeyFile:
    """The file of the master keys."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Tell whether there is a file."""
        return self.path.exists()

    def create(self) -> None:
        """Make the file, for its owner alone, with one key.

        Raises:
            OSError: The folder is full or not ours.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self.path, _line(1))

    def read(self) -> Sequence[MasterKey]:
        """Return the keys; the last one wraps.

        Raises:
            VaultError: The file is not one of ours.
            OSError: It cannot be read.
        """
        with self.path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        try:
            keys = [_parse(line) for line in content.decode("ascii").splitlines()]
            if len({key.number for key in keys}) != len(keys) or len(content) > _LARGEST_FILE:
                raise ValueError
        except ValueError:
            raise VaultError(f"{self.path} is not a key file; restore it.") from None
        if not keys:
            raise VaultError(f"{self.path} is empty; restore it from a backup.")
        return keys

    def add(self) -> None:
        """Put a new key behind the others; durable when this returns.

        Raises:
            VaultError: The file is full or not one of ours.
            OSError: It cannot be written.
        """
        number = max(key.number for key in self.read()) + 1
        if number > _MOST_KEYS:
            raise VaultError(f"{self.path} has no number left; remove lines that nothing needs.")
        content = self.path.read_bytes()
        end = b"" if content.endswith(b"\n") else b"\n"
        write_atomically(self.path, content + end + _line(number))


def _line(number: int) -> bytes:
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
    return f"{number}:{key}\n".encode("ascii")


def _parse(line: str) -> MasterKey:
    number, _, encoded = line.partition(":")
    key = base64.b64decode(encoded, validate=True)
    if len(key) != KEY_BYTES or not 0 < int(number) <= _MOST_KEYS:
        raise ValueError
    return MasterKey(
        number=int(number),
        id=hashlib.sha256(_derived(key, b"dfip master key id")).hexdigest()[:16],
        values=AESGCM(key),
        wrapping=AESGCM(_derived(key, b"dfip data key wrapping")),
    )


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)


def _label(key_id: int) -> bytes:
    return f"data_keys\x00wrapped\x00{key_id}".encode()
