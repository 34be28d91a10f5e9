"""Which photographs become an enrolled face, and what the others are told."""

import asyncio

import grpc
import pytest

from control_plane.people import model
from dfip.control_plane.v1 import event_service_pb2, event_service_pb2_grpc, person_service_pb2_grpc
from dfip.control_plane.v1 import person_service_pb2 as pb
from tests.support.fake_index import PACK, found, vector
from tests.support.people import PeopleSite
from tests.support.refusals import refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXISTS = grpc.StatusCode.ALREADY_EXISTS


async def test_a_good_photograph_is_enrolled(site: PeopleSite) -> None:
    ada = await site.person("Ada")
    face = await site.enrol(ada.id, vector(1))
    assert (face.person_id, face.pack_id, face.quality.verdict) == (ada.id, PACK, "good")
    assert face.revision > 0
    listed = await site.persons.ListFaces(pb.ListFacesRequest(person_id=ada.id))
    assert list(listed.data) == [face]
    again = await site.persons.GetPerson(pb.GetPersonRequest(person_id=ada.id))
    assert again.data.face_count == 1


async def test_the_event_tells_of_the_face_and_its_revision(site: PeopleSite) -> None:
    events = event_service_pb2_grpc.EventServiceStub(site.site.channel("viewer"))
    watching = events.WatchEvents(event_service_pb2.WatchEventsRequest(types=["face.added"]))
    await watching.read()
    ada = await site.person("Ada", notes="for operators alone")
    face = await site.enrol(ada.id, vector(1))
    event = (await watching.read()).event
    assert (event.type, event.person_id, event.face) == ("face.added", ada.id, face)
    watching.cancel()


async def test_what_is_no_picture_is_refused_in_the_indexs_own_words(site: PeopleSite) -> None:
    ada = await site.person()
    with refused(INVALID, "PICTURE_NOT_AN_IMAGE") as refusal:
        await site.send(ada.id, b"some text")
    assert "JPEG, PNG or WebP" in refusal.sentence


async def test_an_empty_body_is_refused(site: PeopleSite) -> None:
    ada = await site.person()
    with refused(INVALID, "PICTURE_EMPTY"):
        await site.send(ada.id, b"")
    with refused(INVALID, "PICTURE_EMPTY"):
        await site.persons.AddFace(pb.AddFaceRequest(person_id=ada.id))


async def test_a_picture_over_the_bound_is_refused(site: PeopleSite) -> None:
    ada = await site.person()
    with refused(INVALID, "PICTURE_TOO_LARGE") as refusal:
        await site.send(ada.id, b"x" * (10 * 1024 * 1024 + 1))
    assert "10 MiB" in refusal.sentence


async def test_a_picture_without_a_face_is_refused(site: PeopleSite) -> None:
    ada = await site.person()
    with refused(INVALID, "NO_FACE_FOUND"):
        await site.send(ada.id, site.photograph("landscape"))


async def test_of_several_faces_one_must_be_chosen(site: PeopleSite) -> None:
    ada = await site.person()
    picture = site.photograph("couple", found(vector(1), left=0.1), found(vector(0, 1), left=0.6))
    with refused(INVALID, "SEVERAL_FACES") as refusal:
        await site.send(ada.id, picture)
    assert "2 faces" in refusal.sentence
    assert "face_index, 0 to 1 (0 is the largest)" in refusal.sentence
    assert refusal.metadata["faces"] == "2"
    assert refusal.metadata["boxes"] == "0.1000,0.2000,0.2000,0.3000;0.6000,0.2000,0.2000,0.3000"
    with refused(INVALID, "FACE_INDEX_OUT_OF_RANGE"):
        await site.send(ada.id, picture, face_index=2)
    await site.send(ada.id, picture, face_index=1)
    bob = await site.person("Bob")
    with refused(EXISTS, "FACE_IS_SOMEBODY_ELSE"):
        await site.enrol(bob.id, vector(0, 1))  # so it was the second face
    await site.enrol(bob.id, vector(1))


async def test_a_poor_face_is_refused_with_its_reasons_unless_forced(site: PeopleSite) -> None:
    ada = await site.person()
    poor = found(vector(1), verdict="poor", reasons=["small", "cut_off"])
    picture = site.photograph("smear", poor)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "FACE_QUALITY_POOR") as refusal:
        await site.send(ada.id, picture)
    assert "(small, cut off)" in refusal.sentence
    face = await site.send(ada.id, picture, force=True)
    assert list(face.quality.reasons) == ["small", "cut_off"]


async def test_somebody_elses_face_is_refused_unless_forced(site: PeopleSite) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    face = await site.enrol(ada.id, vector(1))
    close = vector(1, 0.5)
    with refused(EXISTS, "FACE_IS_SOMEBODY_ELSE") as refusal:
        await site.enrol(bob.id, close)
    assert "Ada" in refusal.sentence
    assert refusal.metadata["person_id"] == ada.id
    assert refusal.metadata["person_name"] == "Ada"
    assert refusal.metadata["face_id"] == face.id
    await site.enrol(bob.id, vector(0.5, 1))  # below the threshold
    await site.send(bob.id, site.photograph("again", found(close)), force=True)


async def test_two_photographs_of_one_person_are_welcome_the_same_twice_is_not(
    site: PeopleSite,
) -> None:
    ada = await site.person()
    await site.enrol(ada.id, vector(1))
    await site.enrol(ada.id, vector(1, 0.3))
    with refused(EXISTS, "FACE_ALREADY_ENROLLED"):
        await site.enrol(ada.id, vector(1))
    with refused(EXISTS, "FACE_ALREADY_ENROLLED"):
        await site.send(ada.id, site.photograph("same", found(vector(1))), force=True)


async def test_one_face_for_two_people_at_once_goes_to_one_of_them(site: PeopleSite) -> None:
    people = [await site.person(name) for name in ("Ada", "Bob", "Cy")]
    outcomes = await asyncio.gather(
        *(site.enrol(person.id, vector(1)) for person in people), return_exceptions=True
    )
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1


async def test_a_removed_face_is_nobodys(site: PeopleSite) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    face = await site.enrol(ada.id, vector(1))
    await site.persons.DeleteFace(pb.DeleteFaceRequest(person_id=ada.id, face_id=face.id))
    await site.enrol(bob.id, vector(1))
    with refused(grpc.StatusCode.NOT_FOUND, "FACE_NOT_FOUND"):
        await site.persons.DeleteFace(pb.DeleteFaceRequest(person_id=ada.id, face_id=face.id))


async def test_a_person_has_a_bounded_number_of_faces(
    site: PeopleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.MOST_FACES == 100
    monkeypatch.setattr(model, "MOST_FACES", 3)
    ada = await site.person()
    for number in range(3):
        await site.enrol(ada.id, vector(1, number))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "TOO_MANY_FACES") as refusal:
        await site.enrol(ada.id, vector(0, 0, 1))
    assert "3 faces" in refusal.sentence


async def test_an_index_that_is_away_is_said_to_be(site: PeopleSite) -> None:
    ada = await site.person()
    await site.stop_index()
    with refused(grpc.StatusCode.UNAVAILABLE, "INDEX_NOT_REACHABLE") as refusal:
        await site.send(ada.id, b"a picture")
    assert "try again" in refusal.sentence
    assert not (await site.persons.ListFaces(pb.ListFacesRequest(person_id=ada.id))).data


@pytest.mark.parametrize("person_id", ["6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "nobody", "../x"])
async def test_nobodys_face_is_refused(site: PeopleSite, person_id: str) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.send(person_id, site.photograph("ada", found(vector(1))))


async def test_a_viewer_enrols_nobody(site: PeopleSite) -> None:
    ada = await site.person()
    as_viewer = person_service_pb2_grpc.PersonServiceStub(site.site.channel("viewer"))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        await as_viewer.AddFace(pb.AddFaceRequest(person_id=ada.id))
