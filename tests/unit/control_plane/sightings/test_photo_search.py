"""Who is on a photograph, by threshold and margin, and which past sightings look like it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.api import httpbody_pb2

from control_plane.face_values import Candidate
from control_plane.people.face_analysis import Analysis
from control_plane.sightings import photo_search
from control_plane.sightings.photo_search import decide
from dfip.control_plane.v1 import person_service_pb2
from dfip.control_plane.v1 import sighting_service_pb2 as pb
from dfip.control_plane.v1.sighting_service_pb2_grpc import SightingServiceStub
from tests.support.fake_index import found, vector
from tests.support.people import PeopleSite, running_people_site
from tests.support.refusals import refused
from tests.support.sightings import Reports, report, stamp

RULES = Analysis(faces=(), match_threshold=0.6, review_threshold=0.4, margin=0.1)


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ([], "unknown"),
        ([0.39], "unknown"),
        ([0.4], "review"),
        ([0.59], "review"),
        ([0.6], "match"),
        ([0.9, 0.7], "match"),
        ([0.9, 0.85], "review"),  # two who look alike
        ([0.85, 0.9], "review"),
        ([0.55, 0.1], "review"),
    ],
)
def test_one_photograph_decides_by_threshold_and_margin(scores: list[float], decision: str) -> None:
    candidates = [Candidate(person_id=str(n), face_id="f", score=s) for n, s in enumerate(scores)]
    assert decide(candidates, RULES) == decision


@pytest_asyncio.fixture
async def site(tmp_path: Path, database_engine: str) -> AsyncIterator[PeopleSite]:
    del database_engine  # chosen, for the control plane
    async with running_people_site(tmp_path) as site:
        yield site


async def search(
    site: PeopleSite, picture: bytes, role: str = "operator", **past: Any
) -> pb.SearchByPhotoResponse:
    request = pb.SearchByPhotoRequest(
        image=httpbody_pb2.HttpBody(content_type="image/jpeg", data=picture), **past
    )
    answer: pb.SearchByPhotoResponse = await SightingServiceStub(
        site.site.channel(role)
    ).SearchByPhoto(request)
    return answer


async def test_each_face_gets_its_people_and_its_decision(site: PeopleSite) -> None:
    ada = await site.person("Ada")
    await site.enrol(ada.id, vector(1))
    picture = site.photograph("two", found(vector(1, 0.2)), found(vector(0, 1), left=0.6))
    answer = await search(site, picture)
    first, second = answer.data
    assert (first.decision, second.decision) == ("match", "unknown")
    assert [(one.person_id, one.person_name) for one in first.candidates] == [(ada.id, "Ada")]
    assert round(second.box.x, 3) == 0.6
    assert (answer.sightings_compared, answer.truncated) == (0, False)


async def test_without_anybody_enrolled_everybody_is_unknown(site: PeopleSite) -> None:
    answer = await search(site, site.photograph("one", found(vector(1))))
    assert [(face.decision, len(face.candidates)) for face in answer.data] == [("unknown", 0)]


async def test_past_sightings_come_closest_first_within_camera_and_time(site: PeopleSite) -> None:
    door, gate = await Reports.open(site.site), await Reports.open(site.site)
    close = report("unknown", face=vector(1, 0.1), start=100)
    closest = report("unknown", face=vector(1), start=50)
    other = report("unknown", face=vector(0, 1), start=60)
    await door.send(close, closest, other)
    elsewhere = report("unknown", face=vector(1), start=70)
    await gate.send(elsewhere)
    picture = site.photograph("one", found(vector(1)))

    at_door = await search(site, picture, camera_id=door.camera_id)
    assert [one.sighting.id for one in at_door.data[0].sightings] == [closest.id, close.id]
    assert at_door.sightings_compared == 3
    assert at_door.data[0].sightings[0].score == pytest.approx(1)

    late = await search(site, picture, since=stamp(65))
    assert {one.sighting.id for one in late.data[0].sightings} == {close.id, elsewhere.id}
    early = await search(site, picture, until=stamp(65))
    assert [one.sighting.id for one in early.data[0].sightings] == [closest.id]


async def test_who_was_only_seen_badly_is_not_compared(site: PeopleSite) -> None:
    door = await Reports.open(site.site)
    good = report("unknown", face=vector(1))
    await door.send(good, report("unknown", face=vector(1), verdict="poor"))
    answer = await search(site, site.photograph("one", found(vector(1))), camera_id=door.camera_id)
    assert [one.sighting.id for one in answer.data[0].sightings] == [good.id]
    assert answer.sightings_compared == 1


async def test_a_search_compares_a_bounded_number_and_says_so(
    site: PeopleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_search, "MOST_COMPARED", 4)
    monkeypatch.setattr(photo_search, "_PAGE", 2)
    monkeypatch.setattr(photo_search, "MOST_SIMILAR", 3)
    door = await Reports.open(site.site)
    await door.send(*(report("unknown", start=number) for number in range(4)))
    picture = site.photograph("one", found(vector(1)))
    whole = await search(site, picture, camera_id=door.camera_id)
    assert (whole.sightings_compared, whole.truncated) == (4, False)
    assert len(whole.data[0].sightings) == 3
    await door.send(report("unknown", start=9))
    part = await search(site, picture, camera_id=door.camera_id)
    assert (part.sightings_compared, part.truncated) == (4, True)


async def test_somebody_erased_since_is_not_found(site: PeopleSite) -> None:
    ada = await site.person("Ada")
    await site.enrol(ada.id, vector(1))
    bob = await site.person("Bob")
    await site.enrol(bob.id, vector(0, 1))
    await site.persons.DeletePerson(person_service_pb2.DeletePersonRequest(person_id=ada.id))
    answer = await search(site, site.photograph("one", found(vector(1))))
    assert ada.id not in [one.person_id for one in answer.data[0].candidates]
    assert answer.data[0].decision == "unknown"


async def test_what_cannot_be_searched_is_refused(site: PeopleSite) -> None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    with refused(invalid, "PICTURE_EMPTY"):
        await search(site, b"")
    with refused(invalid, "PICTURE_NOT_AN_IMAGE"):
        await search(site, b"text")
    with refused(invalid, "NO_FACE_FOUND"):
        await search(site, site.photograph("landscape"))
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await search(site, site.photograph("one", found(vector(1))), camera_id="no-id")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        await search(site, site.photograph("one", found(vector(1))), role="viewer")
