"""Sealed values open in their place with their key, and nowhere else."""

from pathlib import Path

import pytest

from control_plane.encryption import Vault, VaultError

PLACE = {"table": "cameras", "column": "connection_sealed", "row_id": "1"}
SECRET = b"rtsp://user:canary@host/"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault(tmp_path / "keys" / "master.key")
    made.load()
    return made


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


@pytest.mark.parametrize("place", [0, 1, 13, -1])
def test_does_not_open_when_a_bit_was_turned(vault: Vault, place: int) -> None:
    sealed = bytearray(vault.seal(SECRET, **PLACE))
    sealed[place] ^= 1
    with pytest.raises(VaultError):
        vault.open(bytes(sealed), **PLACE)


@pytest.mark.parametrize("length", [0, 1, 12, 13, 20])
def test_does_not_open_what_was_cut(vault: Vault, length: int) -> None:
    with pytest.raises(VaultError):
        vault.open(vault.seal(SECRET, **PLACE)[:length], **PLACE)


def test_the_key_is_kept_and_its_owners_alone(vault: Vault, tmp_path: Path) -> None:
    file = tmp_path / "keys" / "master.key"
    assert file.stat().st_mode & 0o777 == 0o600
    sealed = vault.seal(SECRET, **PLACE)
    again = Vault(file)
    again.load()
    assert again.open(sealed, **PLACE) == SECRET


def test_the_last_key_seals_and_every_key_opens(vault: Vault, tmp_path: Path) -> None:
    sealed = vault.seal(SECRET, **PLACE)
    file, other = tmp_path / "keys" / "master.key", tmp_path / "other.key"
    Vault(other).load()
    file.write_text(file.read_text() + other.read_text().replace("1:", "2:"))
    rotated = Vault(file)
    rotated.load()
    assert rotated.open(sealed, **PLACE) == SECRET
    assert rotated.seal(SECRET, **PLACE)[0] == 2


@pytest.mark.parametrize("content", ["", "1:AAAA\n", "nonsense", "1:\u00e4", "0:" + "A" * 43 + "="])
def test_a_broken_key_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "master.key"
    file.write_text(content)
    with pytest.raises(VaultError, match=r"master\.key"):
        Vault(file).load()
