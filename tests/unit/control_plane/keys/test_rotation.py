"""Rotation: new keys seal, old values open all the while, old keys go when nothing needs them."""

import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sqlalchemy import LargeBinary, select, update

from control_plane.cameras.tables import CameraRow
from control_plane.database import Database
from control_plane.encryption import VaultError
from control_plane.engines.port import KeyRingStale
from control_plane.keys import places
from control_plane.keys.keeper import SETTLE_S
from control_plane.keys.resealing import BATCH
from control_plane.keys.tables import DataKeyRow
from control_plane.schema import metadata
from control_plane.tokens.issuer import SigningKey
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import TokenVerifier
from service_runtime.errors import FailedPrecondition, Unauthenticated
from tests.support.keys import Replica, SealedCameras
from tests.support.virtual_clock import VirtualClock

ADMIN = policy_pb2.ROLE_ADMIN


@pytest.fixture
async def replica(database: Database, clock: VirtualClock, tmp_path: Path) -> Replica:
    made = Replica(database, clock, tmp_path / "a")
    await made.keeper.open()
    return made


@pytest.fixture
def cameras(replica: Replica) -> SealedCameras:
    return SealedCameras(replica)


def test_every_column_of_bytes_is_sealed_or_said_to_be_no_secret() -> None:
    known = {(place.table, place.value.property.columns[0].name) for place in places.SEALED}
    known |= {(c.class_.__tablename__, c.property.columns[0].name) for c in places.UNSEALED}
    found = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert found == known


async def test_old_values_are_sealed_anew_and_the_old_key_goes(
    replica: Replica, cameras: SealedCameras
) -> None:
    await cameras.add(2 * BATCH + 1)
    before = await replica.keeper.status()
    assert before.older_values == 0
    await replica.keeper.rotate(encryption=True, signing=False, revoke=False)
    await cameras.add()
    half = await replica.keeper.status()
    assert half.older_values == before.values
    assert await cameras.opened() == cameras.addresses
    await replica.keeper.step()
    after = await replica.keeper.status()
    assert (after.older_values, after.values) == (0, before.values + 1)
    assert [(key.state, count) for key, count in after.data_keys] == [("sealing", after.values)]
    assert after.data_keys[0][0].id > before.data_keys[0][0].id
    assert await cameras.opened() == cameras.addresses


async def test_a_rotation_leaves_no_trace_on_the_cameras(
    replica: Replica, cameras: SealedCameras
) -> None:
    await cameras.add()
    async with replica.database.read() as session:
        before = (await session.scalars(select(CameraRow))).one()
    await replica.keeper.rotate(encryption=True, signing=False, revoke=False)
    await replica.keeper.step()
    async with replica.database.read() as session:
        after = (await session.scalars(select(CameraRow))).one()
    assert after.connection_sealed != before.connection_sealed
    assert (after.version, after.updated_at) == (before.version, before.updated_at)


async def test_a_value_that_does_not_open_keeps_its_key(
    replica: Replica, cameras: SealedCameras, clock: VirtualClock
) -> None:
    await cameras.add(3)
    victim = next(iter(cameras.addresses))
    async with replica.database.write() as tx:
        row = await tx.session.get_one(CameraRow, victim)
        good = row.connection_sealed
        row.connection_sealed = good[:-1] + bytes([good[-1] ^ 1])
    await replica.keeper.rotate(encryption=True, signing=False, revoke=False)
    await replica.keeper.step()
    stuck = await replica.keeper.status()
    assert stuck.older_values == 1
    async with replica.database.write() as tx:
        await tx.session.execute(update(CameraRow).where(CameraRow.id == victim).values(
            connection_sealed=good
        ))  # fmt: skip
    await clock.advance(3601)
    await replica.keeper.step()
    assert (await replica.keeper.status()).older_values == 0
    assert await cameras.opened() == cameras.addresses


async def test_values_from_before_there_were_data_keys_are_taken_over(
    replica: Replica, cameras: SealedCameras
) -> None:
    (master,) = replica.file.read()
    row = cameras.row()
    nonce, place = secrets.token_bytes(12), f"cameras\x00connection_sealed\x00{row.id}".encode()
    address = cameras.addresses[row.id].encode()
    row.connection_sealed = b"\x01" + nonce + master.values.encrypt(nonce, address, place)
    async with replica.database.write() as tx:
        tx.session.add(row)
    assert await cameras.opened() == cameras.addresses
    assert (await replica.keeper.status()).older_values == 1
    await replica.keeper.step()
    assert (await replica.keeper.status()).older_values == 0
    assert await cameras.opened() == cameras.addresses


async def test_nothing_is_kept_that_was_sealed_with_a_key_that_is_gone(
    replica: Replica, cameras: SealedCameras, tmp_path: Path, clock: VirtualClock
) -> None:
    late = Replica(replica.database, clock, tmp_path / "b", master_key=replica.file.path)
    await late.data.open()
    await replica.keeper.rotate(encryption=True, signing=False, revoke=False)
    await replica.keeper.step()
    late_row = cameras.row(late.vault)
    del cameras.addresses[late_row.id]
    with pytest.raises(KeyRingStale):
        async with replica.database.write() as tx:
            tx.session.add(late_row)
    with pytest.raises(KeyRingStale):
        await cameras.opened(late)
        await cameras.add()
        await cameras.opened(late)
    await late.data.refresh()
    assert await cameras.opened(late) == cameras.addresses


async def test_a_step_that_sealed_with_a_lost_key_is_done_again(
    replica: Replica, cameras: SealedCameras, tmp_path: Path, clock: VirtualClock
) -> None:
    late = Replica(replica.database, clock, tmp_path / "b", master_key=replica.file.path)
    await late.data.open()
    await replica.keeper.rotate(encryption=True, signing=False, revoke=False)
    await replica.keeper.step()
    replica.database.guard_keys(late.data.check, late.data.refresh)

    async def add(tx: object) -> None:
        cameras.addresses.clear()
        tx.session.add(cameras.row(late.vault))  # type: ignore[attr-defined] # a transaction

    await replica.database.transact(add)
    assert await cameras.opened() == cameras.addresses


async def test_the_master_key_is_replaced_by_wrapping_anew(
    replica: Replica, cameras: SealedCameras, tmp_path: Path, clock: VirtualClock
) -> None:
    await cameras.add()
    before = await replica.keeper.status()
    await replica.keeper.rotate_master()
    after = await replica.keeper.status()
    assert after.master_id != before.master_id
    first, second = replica.file.read()
    assert (first.id, second.id) == (before.master_id, after.master_id)
    # the older line is not needed any more
    lines = replica.file.path.read_text().splitlines(keepends=True)
    replica.file.path.write_text(lines[1])
    again = Replica(replica.database, clock, tmp_path / "a")
    await again.keeper.open()
    assert await cameras.opened(again) == cameras.addresses


async def test_a_crash_between_file_and_database_is_finished_at_the_next_start(
    replica: Replica, cameras: SealedCameras, tmp_path: Path, clock: VirtualClock
) -> None:
    await cameras.add()
    replica.file.add()
    again = Replica(replica.database, clock, tmp_path / "a")
    await again.keeper.open()
    assert (await again.keeper.status()).master_id == replica.file.read()[-1].id
    assert await cameras.opened(again) == cameras.addresses


@pytest.mark.parametrize("damage", ["gone", "another", "empty", "nonsense", "twice"])
async def test_a_key_file_that_does_not_fit_stops_the_start(
    replica: Replica, cameras: SealedCameras, tmp_path: Path, clock: VirtualClock, damage: str
) -> None:
    await cameras.add()
    path, content = replica.file.path, replica.file.path.read_text()
    path.unlink()
    if damage == "another":
        replica.file.create()
    elif damage != "gone":
        path.write_text({"empty": "", "nonsense": "key", "twice": content * 2}[damage])
    bad = Replica(replica.database, clock, tmp_path / "a")
    with pytest.raises(VaultError, match=r"master\.key"):
        await bad.keeper.open()
    path.write_text(content)
    await bad.keeper.open()
    assert await cameras.opened(bad) == cameras.addresses
    assert len((await bad.keeper.status()).data_keys) == 1


async def test_a_new_signing_key_is_known_before_it_signs(
    replica: Replica, clock: VirtualClock
) -> None:
    old = replica.issuer.key_id
    token = replica.issuer.issue(ADMIN, subject="x", lifetime_s=86400).token.reveal()
    await replica.keeper.rotate(encryption=False, signing=True, revoke=False)
    assert replica.issuer.key_id == old
    assert len(replica.published) == 2
    await replica.keeper.step()
    await clock.advance(SETTLE_S)
    machine = (replica.tokens_dir / "manager.token").read_text()
    await replica.keeper.step()
    assert replica.issuer.key_id != old
    assert (replica.tokens_dir / "manager.token").read_text() != machine
    verifier = TokenVerifier(replica.jwks_file, clock)
    assert verifier.verify(token).subject == "x"
    verifier.verify((replica.tokens_dir / "manager.token").read_text())
    await clock.leap(31 * 86400)
    await replica.keeper.step()
    assert replica.published == {replica.issuer.key_id}


async def test_a_key_stays_for_the_longest_token_that_was_promised(
    replica: Replica, clock: VirtualClock
) -> None:
    old = replica.issuer.key_id
    issued = replica.issuer.issue(ADMIN, subject="x", lifetime_s=90 * 86400)
    await replica.signing.promise(old, issued.expires_at)
    await replica.keeper.rotate(encryption=False, signing=True, revoke=False)
    await replica.keeper.step()
    await clock.advance(SETTLE_S)
    await replica.keeper.step()
    await clock.leap(89 * 86400)
    await replica.keeper.step()
    assert old in replica.published
    TokenVerifier(replica.jwks_file, clock).verify(issued.token.reveal())
    await clock.leap(timedelta(days=2).total_seconds())
    await replica.keeper.step()
    assert old not in replica.published


async def test_revoking_ends_every_token_at_once(replica: Replica, clock: VirtualClock) -> None:
    token = replica.issuer.issue(ADMIN, subject="x", lifetime_s=86400).token.reveal()
    await replica.keeper.rotate(encryption=False, signing=True, revoke=True)
    verifier = TokenVerifier(replica.jwks_file, clock)
    with pytest.raises(Unauthenticated):
        verifier.verify(token)
    verifier.verify((replica.tokens_dir / "manager.token").read_text())
    verifier.verify((replica.jwks_file.parent / "admin.token").read_text())


async def test_the_key_of_an_earlier_release_goes_on_signing(
    database: Database, clock: VirtualClock, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    file = tmp_path / "a" / "keys" / "signing.pem"
    file.parent.mkdir(parents=True)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    replica = Replica(database, clock, tmp_path / "a")
    await replica.keeper.open()
    assert replica.issuer.key_id == SigningKey.of(key).id
    assert not file.exists()


async def test_replicas_sign_and_seal_with_the_same_keys(
    replica: Replica, cameras: SealedCameras, tmp_path: Path, clock: VirtualClock
) -> None:
    other = Replica(
        replica.database, clock, tmp_path / "b", shared=True, master_key=replica.file.path
    )
    await other.keeper.open()
    assert other.issuer.key_id == replica.issuer.key_id
    await other.keeper.rotate(encryption=True, signing=True, revoke=False)
    with pytest.raises(FailedPrecondition):
        await other.keeper.rotate(encryption=True, signing=False, revoke=False)
    # a shared key waits until everybody has read it
    await other.keeper.step()
    await cameras.add()
    assert await cameras.opened(other) == cameras.addresses
    await clock.advance(SETTLE_S)
    await other.keeper.step()
    await replica.keeper.step()
    assert replica.vault.sealing == other.vault.sealing
    assert replica.issuer.key_id == other.issuer.key_id
    await cameras.add()
    assert await cameras.opened(other) == cameras.addresses


async def test_a_replica_with_another_key_file_does_not_start(
    replica: Replica, tmp_path: Path, clock: VirtualClock
) -> None:
    stranger = Replica(replica.database, clock, tmp_path / "b", shared=True)
    with pytest.raises(VaultError, match="DFIP_MASTER_KEY_FILE"):
        await stranger.keeper.open()
    assert not stranger.file.exists(), "it made a key that fits nothing"
    async with replica.database.read() as session:
        assert len((await session.scalars(select(DataKeyRow))).all()) == 1
