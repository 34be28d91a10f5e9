"""The file in which earlier releases kept the signing key: read once, then removed.

The key stands in the database now, sealed, where every replica finds it
(``control_plane.keys.signing``).
"""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "signing.pem"


class SigningKeyError(Exception):
    """The signing key cannot be used; the text says which file and what to do."""


class SigningFile:
    """``signing.pem`` in the folder of keys, where an earlier release left one."""

    def __init__(self, keys_dir: Path) -> None:
        self._path = keys_dir / KEY_FILE

    def read(self) -> Ed25519PrivateKey | None:
        """Return the key; None where there is no file.

        Raises:
            SigningKeyError: The file holds no Ed25519 key.
            OSError: It cannot be read.
        """
        if not self._path.exists():
            return None
        try:
            key = serialization.load_pem_private_key(self._path.read_bytes(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError(
                f"{self._path} holds no Ed25519 key; restore it from a backup, or remove it to"
                " make a new one, which ends every token."
            )
        return key

    def remove(self) -> None:
        """Remove the file.

        Raises:
            OSError: It is not ours.
        """
        self._path.unlink(missing_ok=True)
