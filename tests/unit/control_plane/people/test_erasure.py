"""Erasing a person leaves nothing of the person, and says what it took."""

import asyncio
import shutil
from pathlib import Path

import grpc
import pytest
from sqlalchemy import func, select

from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.removal import BlobRemover
from control_plane.blobs.tables import BlobRemovalRow
from control_plane.database import Database
from control_plane.people.erasure import Erasure
from dfip.control_plane.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
)
from dfip.control_plane.v1 import person_service_pb2 as pb
from service_runtime.clock import SystemClock
from tests.support.fake_index import vector
from tests.support.people import PeopleSite, running_people_site
from tests.support.refusals import refused
from tests.support.sightings import CONTEXT, CROP, Reports, report
from tests.support.virtual_clock import VirtualClock


async def gone(site: PeopleSite) -> None:
    """Wait until the removal task has nothing left to do."""
    database = site.site.control_plane.parts.database
    while True:
        async with database.read() as session:
            if not await session.scalar(select(func.count()).select_from(BlobRemovalRow)):
                return
        await asyncio.sleep(0)


NAME = "Adelheid Unmistakable"
NOTES = "a note that nobody else has"
PORTRAIT = b"\xff\xd8\xff the only portrait " + bytes(range(256))
OWN_CROP = CROP + b" the only crop"
OWN_CONTEXT = CONTEXT + b" the only one"


def traces(folder: Path, *needles: bytes) -> list[str]:
    """Return where any of the needles stands in any file below a folder."""
    return [
        f"{needle!r} in {path.name}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for needle in needles
        if needle in path.read_bytes()
    ]


async def untraceable(folder: Path, *needles: bytes) -> None:
    """Wait until no file below a folder has any of the needles."""
    while True:
        if not traces(folder, *needles):
            return
        await asyncio.sleep(0.01)


async def test_the_receipt_says_what_went_and_nothing_stays(
    site: PeopleSite, tmp_path: Path
) -> None:
    ada, bob = await site.person(NAME, notes=NOTES), await site.person("Bob")
    await site.enrol(ada.id, vector(1), PORTRAIT + b"1")
    await site.enrol(ada.id, vector(1, 0.5), PORTRAIT + b"2")
    await site.enrol(bob.id, vector(0, 1))
    reports = await Reports.open(site.site)
    await reports.send(report("match", ada.id, crop=OWN_CROP, context=OWN_CONTEXT))
    await reports.send(report("review", ada.id), report("match", ada.id, crop=OWN_CROP + b"2"))
    of_bob = report("match", bob.id, also=ada.id)
    await reports.send(of_bob)
    needles = (NAME.encode(), NOTES.encode(), PORTRAIT, OWN_CROP, OWN_CONTEXT)
    assert all(traces(tmp_path / "data", picture) for picture in (PORTRAIT, OWN_CROP, OWN_CONTEXT))

    receipt = (await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))).data

    assert (receipt.person_id, receipt.faces, receipt.sightings) == (ada.id, 2, 3)
    assert receipt.pictures == 2 + 3
    assert receipt.HasField("erased_at")
    assert traces(tmp_path / "data", *needles) == []
    sightings = sighting_service_pb2_grpc.SightingServiceStub(site.site.channel("viewer"))
    listed = await sightings.ListSightings(sighting_service_pb2.ListSightingsRequest())
    assert [sighting.id for sighting in listed.data] == [of_bob.id]
    (left,) = listed.data
    assert [candidate.person_id for candidate in left.evidence.candidates] == [bob.id]
    with refused(grpc.StatusCode.NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))
    assert (await site.persons.GetPerson(pb.GetPersonRequest(person_id=bob.id))).data.name == "Bob"


async def test_a_worker_that_still_follows_the_face_brings_nothing_back(
    site: PeopleSite, tmp_path: Path
) -> None:
    ada = await site.person(NAME)
    reports = await Reports.open(site.site)
    seen = report("match", ada.id, crop=OWN_CROP, context=OWN_CONTEXT)
    await reports.send(seen)
    await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))

    # the same track goes on, as somebody unknown, with the picture of before; then a new one
    newcomer = report("unknown")
    again = report("unknown", id=seen.id, revision=2, crop=OWN_CROP, context=OWN_CONTEXT)
    await reports.send(again, newcomer)

    assert traces(tmp_path / "data", OWN_CROP, OWN_CONTEXT) == []
    sightings = sighting_service_pb2_grpc.SightingServiceStub(site.site.channel("viewer"))
    listed = await sightings.ListSightings(sighting_service_pb2.ListSightingsRequest())
    assert [sighting.id for sighting in listed.data] == [newcomer.id]


async def test_the_index_forgets_the_face(site: PeopleSite) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    await site.enrol(ada.id, vector(1))
    await site.enrol(ada.id, vector(1, 0.5))
    await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))
    await site.enrol(bob.id, vector(1))
    await site.index.caught_up(lambda gallery: len(gallery) == 1)


async def test_watchers_hear_of_it_without_the_name(site: PeopleSite) -> None:
    events = event_service_pb2_grpc.EventServiceStub(site.site.channel("viewer"))
    watching = events.WatchEvents(event_service_pb2.WatchEventsRequest())
    start = (await watching.read()).resume_token
    ada = await site.person(NAME)
    face = await site.enrol(ada.id, vector(1))
    await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))
    replayed = events.WatchEvents(event_service_pb2.WatchEventsRequest(resume_token=start))
    seen = []
    async for answer in replayed:
        if answer.HasField("event"):
            seen.append(answer.event)
        if answer.event.type == "person.erased":
            break
    types = [event.type for event in seen]
    assert types == ["person.created", "face.added", "face.removed", "person.erased"]
    assert {event.person_id for event in seen} == {ada.id}
    assert seen[2].face_id == face.id
    assert all(NAME.encode() not in event.SerializeToString() for event in seen)
    watching.cancel()
    replayed.cancel()


async def test_a_crash_right_after_the_transaction_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(_: BlobRemover) -> int:
        # what a SIGKILL at this moment leaves on the disk
        shutil.copytree(tmp_path / "first", tmp_path / "second", dirs_exist_ok=True)
        raise OSError(5, "the disk went away")

    monkeypatch.setattr(BlobRemover, "drain", crash)
    async with running_people_site(tmp_path / "first") as site:
        await site.site.control_plane.parts.database.scrub()
        ada = await site.person(NAME)
        await site.enrol(ada.id, vector(1), PORTRAIT)
        await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))
    assert len(traces(tmp_path / "second", PORTRAIT, NAME.encode())) == 2
    monkeypatch.undo()
    clock = VirtualClock()
    async with running_people_site(tmp_path / "second", clock=clock) as site:
        await gone(site)
        # the log of the database is emptied a minute after the start
        await clock.advance(60)
        await untraceable(tmp_path / "second", PORTRAIT, NAME.encode())


async def test_hanging_up_does_not_stop_an_erasure(
    site: PeopleSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await site.person(NAME)
    await site.enrol(ada.id, vector(1), PORTRAIT)
    drain, reached, hung_up = BlobRemover.drain, asyncio.Event(), asyncio.Event()

    async def slow(remover: BlobRemover) -> int:
        reached.set()
        await hung_up.wait()
        return await drain(remover)

    truncate, done = Database.scrub, asyncio.Event()

    async def tell(database: Database) -> bool:
        try:
            return await truncate(database)
        finally:
            done.set()

    monkeypatch.setattr(BlobRemover, "drain", slow)
    monkeypatch.setattr(Database, "scrub", tell)
    database = site.site.control_plane.parts.database
    remover = BlobRemover(database, BlobDirectory(tmp_path / "data" / "blobs"), SystemClock())
    call = asyncio.create_task(Erasure(database, remover).erase_person(ada.id))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    hung_up.set()
    await done.wait()
    assert traces(tmp_path / "data", PORTRAIT, NAME.encode()) == []
