"""Encryption of single values at rest: AES-256-GCM under a data key of the ring.

The data keys stand in the database, wrapped by the master key, which never does
(``control_plane.keys``). A sealed value is ``0 (1 byte) | version (1) | data key's id (4) | nonce
(12) | ciphertext and tag``; table, column, row and the first six bytes are additional data, so that
a ciphertext moved to another row does not open. Earlier values, which begin with the number of the
master key that sealed them (never 0), still open until they are sealed anew.

Sealing never waits, so it goes by the ring as this process knows it. Two things make that safe
where several processes share a database. ``Database.write`` holds every key that was sealed with
until the commit, and fails where one is gone, so that no key is destroyed under a value
(``keys/ring.py``). And a value under a key that is not known yet is ``KeyRingStale``: the ring is
read again, and the transaction repeated.
"""

import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control_plane.engines.port import KeyRingStale

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
HEADER_BYTES: Final = 6
_ENVELOPE: Final = b"\x00\x01"
_LARGEST_ID: Final = 2**32 - 1

# what this task has sealed with since its last commit; a task's own, never another's
_used: ContextVar[frozenset[int]] = ContextVar("dfip_keys_used", default=frozenset())


class VaultError(Exception):
    """A key file or a sealed value that cannot be used; the text holds no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The data keys: ``sealing`` is the id of the one that seals, every one opens.

    Attributes:
        sealing: The key of new values.
        keys: Data keys by id.
        masters: Master keys by their number, for values from before there were data keys.
    """

    sealing: int
    keys: Mapping[int, AESGCM] = field(repr=False)
    masters: Mapping[int, AESGCM] = field(repr=False)


class Vault:
    """Seals and opens values. Give it a ring with ``use`` first."""

    def __init__(self, on_unknown_key: Callable[[], None] = lambda: None) -> None:
        self._ring: KeyRing | None = None
        self.on_unknown_key = on_unknown_key

    def use(self, ring: KeyRing) -> None:
        """Seal and open with this ring from now on."""
        self._ring = ring

    @property
    def sealing(self) -> int:
        """Id of the key that seals."""
        return self._known().sealing

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: str) -> bytes:
        """Return ``plaintext`` encrypted for one place in the database."""
        ring = self._known()
        _used.set(_used.get() | {ring.sealing})
        header = header_of(ring.sealing)
        nonce = secrets.token_bytes(NONCE_BYTES)
        place = header + _place(table, column, row_id)
        return header + nonce + ring.keys[ring.sealing].encrypt(nonce, plaintext, place)

    def open(self, sealed: bytes, *, table: str, column: str, row_id: str) -> bytes:
        """Return what was sealed for this place.

        Raises:
            VaultError: The value was sealed for another place, or was changed.
            KeyRingStale: The key is not known here: it is new, or it was destroyed.
        """
        place = _place(table, column, row_id)
        if sealed[:2] == _ENVELOPE and len(sealed) > HEADER_BYTES:
            header, body = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
            key = self._known().keys.get(int.from_bytes(header[2:], "big"))
            if key is None:
                self.on_unknown_key()
                raise KeyRingStale
            place = header + place
        else:
            key, body = self._known().masters.get(sealed[0] if sealed else 0), sealed[1:]
            if key is None:
                raise VaultError(f"{table}.{column} was sealed with a key that is not here.")
        try:
            return key.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise VaultError(f"{table}.{column} does not open with its key.") from None

    def _known(self) -> KeyRing:
        assert self._ring is not None, "the vault has no ring"  # noqa: S101 - a defect
        return self._ring


def header_of(key_id: int) -> bytes:
    """Return what every value begins with that was sealed with this data key."""
    assert 0 < key_id <= _LARGEST_ID, "ids count from 1"  # noqa: S101 - a defect
    return _ENVELOPE + key_id.to_bytes(4, "big")


def keys_used() -> frozenset[int]:
    """Return the ids of the keys that this task has sealed with since ``forget_keys_used``."""
    return _used.get()


def forget_keys_used() -> None:
    """Begin anew: what was sealed is committed, or never will be."""
    _used.set(frozenset())


def _place(table: str, column: str, row_id: str) -> bytes:
    return f"{table}\x00{column}\x00{row_id}".encode()
