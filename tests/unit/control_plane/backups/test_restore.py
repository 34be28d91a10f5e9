"""A backup comes back as the site was; who was erased since does not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from control_plane.backups.ledger import LEDGER_FILE, ErasureLedger, read_ledger
from control_plane.backups.model import BackupError
from control_plane.backups.restore import Restore, Restored
from control_plane.backups.shelf import BackupShelf
from dfip.control_plane.v1 import admin_service_pb2 as pb
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    event_service_pb2,
    person_service_pb2,
)
from dfip.control_plane.v1.admin_service_pb2_grpc import AdminServiceStub
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from service_runtime.clock import SystemClock
from service_runtime.lifecycle import StartError
from service_runtime.secret import Secret
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.engines import POSTGRES
from tests.support.fake_index import vector
from tests.support.people import PeopleSite, running_people_site
from tests.support.postgres import PostgresSite, postgres_programs
from tests.support.refusals import refused
from tests.support.sightings import CONTEXT, CROP, Reports, report

RTSP = "rtsp://user:canary-pass@10.0.0.1/"


@dataclass(kw_only=True)
class World:
    """A site with backups, and a place to restore them to."""

    people: PeopleSite
    folder: Path
    fresh_url: Secret | None
    names: list[str] = field(default_factory=list)

    @property
    def site(self) -> RunningControlPlane:
        return self.people.site

    @property
    def shelf(self) -> Path:
        return self.folder / "backups"

    async def backup(self, *, with_keys: bool = False) -> pb.Backup:
        admin: Any = AdminServiceStub(self.site.channel())
        asked = await admin.CreateBackup(pb.CreateBackupRequest(with_keys=with_keys))
        assert asked.data.state == "running"
        while True:
            listed = await admin.ListBackups(pb.ListBackupsRequest())
            (one,) = (backup for backup in listed.data if backup.id == asked.data.id)
            if one.state != "running":
                backup: pb.Backup = one
                return backup
            await asyncio.sleep(0)

    def restoring(self, backup: pb.Backup, **fields: Any) -> Restore:
        values: dict[str, Any] = {
            "backup": Path(backup.path),
            "data_dir": self.folder / "restored" / "data",
            "erased": read_ledger(self.shelf / LEDGER_FILE),
            "master_key_file": self.folder / "data" / "keys" / "master.key",
            "database_url": self.fresh_url,
            "postgres_bin_dir": postgres_programs(),
            "clock": SystemClock(),
        }
        return Restore(**(values | fields))

    async def restore(self, backup: pb.Backup, **fields: Any) -> Restored:
        return await self.restoring(backup, **fields).run()

    def restored(self) -> Any:
        return running_people_site(self.folder / "restored", database_url=self.fresh_url)


@pytest.fixture
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, database_engine: str
) -> AsyncIterator[World]:
    url = None
    if database_engine == POSTGRES:
        site: PostgresSite = request.getfixturevalue("postgres")
        url = site.url(await site.fresh(migrated=False))
    async with running_people_site(
        tmp_path,
        backup_dir=tmp_path / "backups",
        backup_keep=2,
        postgres_bin_dir=postgres_programs(),
    ) as people:
        yield World(people=people, folder=tmp_path, fresh_url=url)


async def add_camera(site: RunningControlPlane) -> str:
    created = await ControlPlaneServiceStub(site.channel()).CreateCamera(
        control_plane_service_pb2.CreateCameraRequest(
            name="door", connection_string=RTSP, desired_state="running", request_id="once"
        )
    )
    return str(created.data.id)


def pieces(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def pictures(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in (folder / "blobs").rglob("*") if path.is_file()}


async def test_a_site_comes_back_as_it_was(world: World) -> None:
    camera_id = await add_camera(world.site)
    ada = await world.people.person("Ada")
    await world.people.enrol(ada.id, vector(1), portrait=b"\xff\xd8\xffAda")
    backup = await world.backup()
    assert (backup.state, backup.with_keys) == ("complete", False)
    assert backup.files == 2
    assert {path.stat().st_mode & 0o077 for path in world.shelf.rglob("*")} == {0}
    assert world.shelf.stat().st_mode & 0o777 == 0o700
    await world.people.person("Later")
    watch: Any = EventServiceStub(world.site.channel()).WatchEvents(
        event_service_pb2.WatchEventsRequest()
    )
    resume_token = (await watch.read()).resume_token
    watch.cancel()

    restored = await world.restore(backup)
    assert (restored.blobs, restored.erased_again, restored.has_key) == (1, 0, True)
    assert pictures(restored.data_dir) == {b"\xff\xd8\xffAda"}
    assert restored.data_dir.stat().st_mode & 0o777 == 0o700
    async with world.restored() as again:
        people = await again.persons.ListPersons(person_service_pb2.ListPersonsRequest())
        assert [person.name for person in people.data] == ["Ada"]
        managers: Any = ControlPlaneServiceStub(again.site.channel("manager"))
        token = await managers.IssueWorkerToken(
            control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
        )
        assert token.token
        # sealed with the key that was put there
        assert await add_camera(again.site) == camera_id
        late: Any = EventServiceStub(again.site.channel()).WatchEvents(
            event_service_pb2.WatchEventsRequest(resume_token=resume_token)
        )
        with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
            async for _ in late:
                pass


async def test_who_was_erased_since_is_erased_again(world: World) -> None:
    ada, bob = await world.people.person("Ada"), await world.people.person("Bob")
    for person, values in ((ada, vector(1)), (bob, vector(0, 1))):
        portrait = b"\xff\xd8\xff" + person.name.encode()
        await world.people.enrol(person.id, values, portrait=portrait)
    reports = await Reports.open(world.site)
    await reports.send(
        report("match", ada.id, crop=CROP + b"Ada", context=CONTEXT + b"Ada"),
        report("match", bob.id, crop=CROP + b"Bob", context=CONTEXT + b"Bob"),
    )
    backup = await world.backup(with_keys=True)
    await world.people.persons.DeletePerson(
        person_service_pb2.DeletePersonRequest(person_id=ada.id)
    )
    ledger = ErasureLedger(world.site.control_plane.parts.database, world.shelf, SystemClock())
    await ledger.follow()
    assert read_ledger(world.shelf / LEDGER_FILE) == [ada.id]
    restored = await world.restore(backup, master_key_file=None)
    assert (restored.erased_again, restored.has_key) == (1, True)
    of_bob = {b"\xff\xd8\xffBob", CROP + b"Bob", CONTEXT + b"Bob"}
    assert pictures(restored.data_dir) == of_bob
    async with world.restored() as again:
        people = await again.persons.ListPersons(person_service_pb2.ListPersonsRequest())
        assert [person.name for person in people.data] == ["Bob"]


async def test_without_the_key_the_restored_site_says_what_it_needs(world: World) -> None:
    await add_camera(world.site)
    backup = await world.backup()
    restored = await world.restore(backup, master_key_file=None)
    assert not restored.has_key
    assert not (restored.data_dir / "keys").exists()
    with pytest.raises(StartError, match=r"master\.key is missing"):
        async with running_control_plane(world.folder / "restored", database_url=world.fresh_url):
            pass


async def test_no_backup_holds_a_secret_in_the_clear(world: World) -> None:
    await add_camera(world.site)
    backup = await world.backup()
    content = b"".join(pieces(Path(backup.path)))
    assert b"camera.created" in content or world.fresh_url is not None  # a dump is compressed
    key = (world.folder / "data" / "keys" / "master.key").read_bytes()
    assert b"canary-pass" not in content
    assert key not in content


async def test_the_newest_are_kept_and_one_is_made_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await world.backup() for _ in range(3)]
    admin: Any = AdminServiceStub(world.site.channel())
    listed = await admin.ListBackups(pb.ListBackupsRequest())
    assert {backup.id for backup in listed.data} <= {backup.id for backup in made}
    assert len(listed.data) == 2
    assert {path.name for path in world.shelf.glob("*backup*")} == {b.id for b in listed.data}
    assert not list(world.shelf.glob(".partial*"))

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(BackupShelf, "_make", never)
    await admin.CreateBackup(pb.CreateBackupRequest())
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "BACKUP_RUNNING"):
        await admin.CreateBackup(pb.CreateBackupRequest())


async def test_a_restore_that_cannot_be_done_leaves_nothing(world: World) -> None:
    backup = await world.backup()
    full = world.folder / "full"
    full.mkdir()
    (full / "file").touch()
    with pytest.raises(BackupError, match="not empty"):
        await world.restore(backup, data_dir=full)
    with pytest.raises(BackupError, match="no backup"):
        await replace(world.restoring(backup), backup=world.folder).run()
    archive = Path(backup.path) / "data.tar"
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 3])
    with pytest.raises(BackupError, match="damaged"):
        await world.restore(backup)
    assert not (world.folder / "restored" / "data").exists()
    assert not list((world.folder / "restored").iterdir())


async def test_without_its_programs_postgres_is_not_backed_up(
    tmp_path: Path, postgres: PostgresSite
) -> None:
    async with running_people_site(
        tmp_path,
        database_url=postgres.url(await postgres.fresh()),
        backup_dir=tmp_path / "backups",
        postgres_bin_dir=tmp_path,
    ) as people:
        failed = await World(people=people, folder=tmp_path, fresh_url=None).backup()
        assert failed.state == "failed"
        assert "pg_dump is not installed" in failed.reason
        assert not list((tmp_path / "backups").iterdir())


async def test_a_line_that_a_crash_cut_short_costs_no_erasure(world: World) -> None:
    ada, bob = await world.people.person("Ada"), await world.people.person("Bob")
    ledger = ErasureLedger(world.site.control_plane.parts.database, world.shelf, SystemClock())
    delete = world.people.persons.DeletePerson
    await delete(person_service_pb2.DeletePersonRequest(person_id=ada.id))
    await ledger.follow()
    path = world.shelf / LEDGER_FILE
    path.write_bytes(path.read_bytes()[:-9])
    await delete(person_service_pb2.DeletePersonRequest(person_id=bob.id))
    again = ErasureLedger(world.site.control_plane.parts.database, world.shelf, SystemClock())
    assert await again.follow() == 2
    assert set(read_ledger(path)) == {ada.id, bob.id}
    assert await again.follow() == 0
