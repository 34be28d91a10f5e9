"""Two records of one person become one, and nothing of the other stays."""

import uuid
from pathlib import Path

import grpc
import pytest

from control_plane.people import model
from dfip.control_plane.v1 import event_service_pb2, event_service_pb2_grpc
from dfip.control_plane.v1 import person_service_pb2 as pb
from dfip.control_plane.v1 import sighting_service_pb2 as sightings_pb
from dfip.control_plane.v1.sighting_service_pb2_grpc import SightingServiceStub
from tests.support.fake_index import vector
from tests.support.people import PeopleSite
from tests.support.refusals import refused
from tests.support.sightings import Reports, report
from tests.unit.control_plane.people.test_erasure import traces

NAME = "Bert Unmistakable"


async def merge(site: PeopleSite, stays: str, goes: str) -> pb.MergePersonsResponse:
    answer: pb.MergePersonsResponse = await site.persons.MergePersons(
        pb.MergePersonsRequest(person_id=stays, other_person_id=goes)
    )
    return answer


async def test_faces_sightings_and_labels_go_to_the_record_that_stays(site: PeopleSite) -> None:
    ada = await site.person("Ada", labels=["staff"])
    bert = await site.person(NAME, notes="left hand", labels=["night", "staff"])
    cy = await site.person("Cy")
    await site.enrol(ada.id, vector(1))
    moved = await site.enrol(bert.id, vector(0, 1))
    reports = await Reports.open(site.site)
    of_bert = report("match", bert.id, also=ada.id, end=7)
    of_ada = report("match", ada.id, also=bert.id, end=3)
    of_cy = report("match", cy.id, also=bert.id)
    await reports.send(of_bert, of_ada, of_cy)

    answer = await merge(site, ada.id, bert.id)
    assert answer.data.name == "Ada"
    assert answer.data.face_count == 2
    assert list(answer.data.labels) == ["staff", "night"]
    assert answer.data.notes == "left hand"
    assert answer.data.last_seen_at.ToJsonString() == "2026-01-01T00:00:07Z"
    with refused(grpc.StatusCode.NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.persons.GetPerson(pb.GetPersonRequest(person_id=bert.id))

    sightings = SightingServiceStub(site.site.channel("viewer"))
    listed = await sightings.ListSightings(sightings_pb.ListSightingsRequest(person_id=ada.id))
    assert {one.id for one in listed.data} == {of_bert.id, of_ada.id}
    for one in listed.data:
        assert [candidate.person_id for candidate in one.evidence.candidates] == [ada.id]
        assert [round(candidate.score, 2) for candidate in one.evidence.candidates] == [0.9]
    found = await sightings.GetSighting(sightings_pb.GetSightingRequest(sighting_id=of_cy.id))
    assert [one.person_id for one in found.data.evidence.candidates] == [cy.id, ada.id]

    await site.index.caught_up(lambda gallery: gallery[moved.id][0] == ada.id)
    faces = await site.persons.ListFaces(pb.ListFacesRequest(person_id=ada.id))
    assert [face.id for face in faces.data][-1] == moved.id
    assert faces.data[-1].revision > moved.revision


async def test_of_one_photograph_enrolled_twice_one_face_stays(site: PeopleSite) -> None:
    ada, bert = await site.person("Ada"), await site.person("Bert")
    kept = await site.enrol(ada.id, vector(1))
    twin = site.photograph("again", *site.index.pictures[next(iter(site.index.pictures))])
    await site.send(bert.id, twin, force=True)
    answer = await merge(site, ada.id, bert.id)
    assert answer.data.face_count == 1
    faces = await site.persons.ListFaces(pb.ListFacesRequest(person_id=ada.id))
    assert [face.id for face in faces.data] == [kept.id]
    await site.index.caught_up(lambda gallery: set(gallery) == {kept.id})


async def test_the_feed_tells_that_one_is_gone_and_the_other_changed(site: PeopleSite) -> None:
    ada, bert = await site.person("Ada"), await site.person("Bert")
    await site.enrol(bert.id, vector(1))
    events = event_service_pb2_grpc.EventServiceStub(site.site.channel("operator"))
    types = ["face.added", "person.erased", "person.updated"]
    watching = events.WatchEvents(event_service_pb2.WatchEventsRequest(types=types))
    await watching.read()
    await merge(site, ada.id, bert.id)
    told = [(await watching.read()).event for _ in range(3)]
    assert [(event.type, event.person_id) for event in told] == [
        ("face.added", ada.id),
        ("person.erased", bert.id),
        ("person.updated", ada.id),
    ]
    watching.cancel()


async def test_nothing_of_the_other_record_stays(site: PeopleSite, tmp_path: Path) -> None:
    ada, bert = await site.person("Ada"), await site.person(NAME)
    await merge(site, ada.id, bert.id)
    await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))
    assert not traces(tmp_path / "data", NAME.encode())


async def test_erasing_the_record_that_stays_takes_what_came_from_the_other(
    site: PeopleSite,
) -> None:
    ada, bert = await site.person("Ada"), await site.person("Bert")
    await site.enrol(bert.id, vector(1))
    reports = await Reports.open(site.site)
    await reports.send(report("match", bert.id))
    await merge(site, ada.id, bert.id)
    receipt = (await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=ada.id))).data
    assert (receipt.faces, receipt.sightings) == (1, 1)


async def test_what_cannot_be_merged_is_refused(
    site: PeopleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bert = await site.person("Ada"), await site.person("Bert")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID"):
        await merge(site, ada.id, ada.id)
    with refused(grpc.StatusCode.NOT_FOUND, "PERSON_NOT_FOUND"):
        await merge(site, ada.id, str(uuid.uuid4()))
    monkeypatch.setattr(model, "MOST_FACES", 1)
    await site.enrol(ada.id, vector(1))
    await site.enrol(bert.id, vector(0, 1))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "TOO_MANY_FACES"):
        await merge(site, ada.id, bert.id)
    assert (await site.persons.GetPerson(pb.GetPersonRequest(person_id=bert.id))).data.id
