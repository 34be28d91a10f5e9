"""Sealed values open in their place with their key, and nowhere else."""

import secrets

import pytest

from control_plane.encryption import Vault, VaultError, forget_keys_used, keys_used
from control_plane.engines.port import KeyRingStale
from tests.support.keys import data_key, vault_with

PLACE = {"table": "cameras", "column": "connection_sealed", "row_id": "1"}
SECRET = b"rtsp://user:canary@host/"


@pytest.fixture
def vault() -> Vault:
    return vault_with()


def test_opens_what_it_sealed(vault: Vault) -> None:
    sealed = vault.seal(SECRET, **PLACE)
    assert b"canary" not in sealed
    assert vault.open(sealed, **PLACE) == SECRET


def test_never_seals_the_same_twice(vault: Vault) -> None:
    assert vault.seal(SECRET, **PLACE) != vault.seal(SECRET, **PLACE)


@pytest.mark.parametrize("elsewhere", [{"row_id": "2"}, {"column": "x"}, {"table": "x"}])
def test_does_not_open_elsewhere(vault: Vault, elsewhere: dict[str, str]) -> None:
    sealed = vault.seal(SECRET, **PLACE)
    with pytest.raises(VaultError):
        vault.open(sealed, **(PLACE | elsewhere))


@pytest.mark.parametrize("place", [0, 1, 6, 17, 18, -1])
def test_does_not_open_when_a_bit_was_turned(vault: Vault, place: int) -> None:
    sealed = bytearray(vault.seal(SECRET, **PLACE))
    sealed[place] ^= 1
    with pytest.raises(VaultError):
        vault.open(bytes(sealed), **PLACE)


def test_a_value_does_not_pass_for_another_keys() -> None:
    key = data_key()
    vault = vault_with(key, key)
    sealed = bytearray(vault.seal(SECRET, **PLACE))
    sealed[5] = 1
    with pytest.raises(VaultError):
        vault.open(bytes(sealed), **PLACE)


@pytest.mark.parametrize("length", [0, 1, 2, 5, 6, 12, 18, 20])
def test_does_not_open_what_was_cut(vault: Vault, length: int) -> None:
    with pytest.raises(VaultError):
        vault.open(vault.seal(SECRET, **PLACE)[:length], **PLACE)


def test_the_chosen_key_seals_and_every_key_opens() -> None:
    old, new = data_key(), data_key()
    sealed = vault_with(old).seal(SECRET, **PLACE)
    vault = vault_with(old, new)
    assert vault.open(sealed, **PLACE) == SECRET
    with pytest.raises(KeyRingStale):
        vault_with(old).open(vault.seal(SECRET, **PLACE), **PLACE)


def test_an_unknown_key_is_told_at_once() -> None:
    told: list[bool] = []
    vault = vault_with()
    vault.on_unknown_key = lambda: told.append(True)
    with pytest.raises(KeyRingStale):
        vault.open(vault_with(data_key(), data_key()).seal(SECRET, **PLACE), **PLACE)
    assert told


def test_a_value_from_before_there_were_data_keys_opens_with_its_master_key() -> None:
    master, nonce = data_key(), secrets.token_bytes(12)
    place = b"cameras\x00connection_sealed\x001"
    sealed = b"\x03" + nonce + master.encrypt(nonce, SECRET, place)
    assert vault_with(masters={3: master}).open(sealed, **PLACE) == SECRET
    with pytest.raises(VaultError):
        vault_with(masters={2: master}).open(sealed, **PLACE)


def test_what_was_sealed_with_is_remembered_until_the_commit(vault: Vault) -> None:
    forget_keys_used()
    vault.seal(SECRET, **PLACE)
    assert keys_used() == {1}
    forget_keys_used()
    assert not keys_used()


def test_no_key_is_printed(vault: Vault) -> None:
    assert repr(vault._ring) == "KeyRing(sealing=1)"
