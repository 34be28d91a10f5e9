"""The index can build the gallery from the watch alone, and go on where it stopped."""

from typing import Any

import grpc
import numpy as np
import pytest

from control_plane.people import face_watch
from control_plane.people.tables import EmbeddingRow
from dfip.control_plane.v1 import person_service_pb2 as pb
from dfip.control_plane.v1 import person_service_pb2_grpc
from service_runtime.resume_tokens import ResumeToken
from tests.support.fake_index import PACK, vector
from tests.support.people import PeopleSite
from tests.support.refusals import refused


class Watcher:
    """An index replica: what it was told so far."""

    def __init__(self, site: PeopleSite, *, pack_id: str = PACK, resume_token: str = "") -> None:
        stub = person_service_pb2_grpc.PersonServiceStub(site.site.channel("index"))
        request = pb.WatchFacesRequest(pack_id=pack_id, resume_token=resume_token)
        self.stream: Any = stub.WatchFaces(request)
        self.faces: dict[str, pb.EnrolledFace] = {}
        self.messages: list[pb.WatchFacesResponse] = []

    @property
    def last(self) -> pb.WatchFacesResponse:
        return self.messages[-1]

    async def read(self) -> pb.WatchFacesResponse:
        message: pb.WatchFacesResponse = await self.stream.read()
        self.messages.append(message)
        for face in message.added:
            self.faces[face.face_id] = face
        for face_id in message.removed_face_ids:
            self.faces.pop(face_id, None)
        return message

    async def complete(self) -> None:
        """Read the snapshot."""
        while not (await self.read()).snapshot_complete:
            pass

    async def reach(self, revision: int) -> None:
        """Read until every change up to a revision was told."""
        while not self.messages or self.last.revision < revision:
            await self.read()


async def test_the_snapshot_comes_in_pieces_and_then_changes_come(
    site: PeopleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_watch, "_CHUNK", 2)
    ada = await site.person("Ada")
    enrolled = [await site.enrol(ada.id, vector(1, number)) for number in range(5)]
    watcher = Watcher(site)
    await watcher.complete()
    assert watcher.faces.keys() == {face.id for face in enrolled}
    assert [len(message.added) for message in watcher.messages] == [2, 2, 1, 0]
    assert watcher.last.revision >= enrolled[-1].revision
    first = watcher.faces[enrolled[0].id]
    assert (first.person_id, first.embedding.pack_id) == (ada.id, PACK)
    assert np.array_equal(np.frombuffer(first.embedding.vectors, "<f4"), vector(1, 0))

    added = await site.enrol(ada.id, vector(1, 9))
    await watcher.reach(added.revision)
    assert added.id in watcher.faces
    await site.persons.DeleteFace(pb.DeleteFaceRequest(person_id=ada.id, face_id=added.id))
    await watcher.reach(added.revision + 1)
    assert added.id not in watcher.faces
    await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))
    while watcher.faces:
        await watcher.read()
    watcher.stream.cancel()


async def test_a_damaged_embedding_keeps_no_other_from_the_index(
    site: PeopleSite, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(face_watch, "_CHUNK", 1)
    ada = await site.person("Ada")
    enrolled = [await site.enrol(ada.id, vector(1, number)) for number in range(3)]
    damaged = min(face.id for face in enrolled)
    async with site.site.control_plane.parts.database.write() as tx:
        row = await tx.session.get_one(EmbeddingRow, damaged)
        row.sealed = row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])
    watcher = Watcher(site)
    await watcher.complete()
    assert watcher.faces.keys() == {face.id for face in enrolled} - {damaged}
    assert damaged in capfd.readouterr().err
    await site.enrol(ada.id, vector(1, 7))  # its twins are looked for among the others
    watcher.stream.cancel()


async def test_an_empty_gallery_is_complete_at_once(site: PeopleSite) -> None:
    watcher = Watcher(site)
    await watcher.complete()
    assert len(watcher.messages) == 1
    watcher.stream.cancel()


async def test_a_replica_that_comes_back_hears_what_it_missed(site: PeopleSite) -> None:
    ada = await site.person("Ada")
    kept = await site.enrol(ada.id, vector(1))
    gone = await site.enrol(ada.id, vector(1, 1))
    watcher = Watcher(site)
    await watcher.complete()
    watcher.stream.cancel()

    new = await site.enrol(ada.id, vector(0, 1))
    await site.persons.DeleteFace(pb.DeleteFaceRequest(person_id=ada.id, face_id=gone.id))
    # came and went: it may be told to be removed, never to be there
    short = await site.enrol(ada.id, vector(0, 0, 1))
    await site.persons.DeleteFace(pb.DeleteFaceRequest(person_id=ada.id, face_id=short.id))

    again = Watcher(site, resume_token=watcher.last.resume_token)
    assert (await again.read()).snapshot_complete
    await again.reach(short.revision + 1)
    assert again.faces.keys() == {new.id}
    told_gone = {face_id for message in again.messages for face_id in message.removed_face_ids}
    assert {gone.id, short.id} <= told_gone
    assert kept.id not in told_gone
    again.stream.cancel()


async def test_another_packs_faces_are_not_told_but_counted(site: PeopleSite) -> None:
    ada = await site.person("Ada")
    await site.enrol(ada.id, vector(1))
    watcher = Watcher(site, pack_id="another")
    await watcher.complete()
    assert watcher.faces == {}
    face = await site.enrol(ada.id, vector(0, 1))
    await watcher.reach(face.revision)
    assert watcher.faces == {}
    watcher.stream.cancel()


async def test_changes_of_other_things_move_the_token(
    site: PeopleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_watch, "_QUIET_EVENTS", 3)
    watcher = Watcher(site)
    await watcher.complete()
    for number in range(4):
        await site.person(f"Person {number}")
    message = await watcher.read()
    assert not message.added
    assert message.revision > watcher.messages[0].revision
    watcher.stream.cancel()


async def test_a_token_that_is_not_good_starts_nothing(site: PeopleSite) -> None:
    stale = ResumeToken(feed_id="another", sequence=0).encode()
    with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
        await Watcher(site, resume_token=stale).read()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID"):
        await Watcher(site, resume_token="rubbish").read()


async def test_only_the_index_may_watch(site: PeopleSite) -> None:
    as_admin = person_service_pb2_grpc.PersonServiceStub(site.site.channel("admin"))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        await as_admin.WatchFaces(pb.WatchFacesRequest(pack_id=PACK)).read()
