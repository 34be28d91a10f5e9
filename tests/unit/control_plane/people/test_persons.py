"""Registering, reading, listing and changing people."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.people import model
from dfip.control_plane.v1 import person_service_pb2 as pb
from service_runtime.errors import InvalidArgument
from service_runtime.identifiers import new_id
from service_runtime.pagination import encode_page_token
from tests.support.people import PeopleSite
from tests.support.refusals import refused

NOBODY = "1b4e28ba-2fa1-41d4-883f-0016d3cca427"

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


async def names_of(site: PeopleSite, **fields: object) -> list[str]:
    """Walk all pages of a list."""
    names: list[str] = []
    token = ""
    while True:
        request = pb.ListPersonsRequest(page_token=token, **fields)  # type: ignore[arg-type]  # any field
        answer = await site.persons.ListPersons(request)
        names += [person.name for person in answer.data]
        token = answer.next_page_token
        if not token:
            return names


async def test_a_person_is_kept_as_told(site: PeopleSite) -> None:
    person = await site.person("  Ada  ", notes="first", labels=["staff", "night"])
    assert (person.name, person.notes, list(person.labels)) == ("Ada", "first", ["staff", "night"])
    assert person.face_count == 0
    assert not person.HasField("last_seen_at")
    answer = await site.persons.GetPerson(pb.GetPersonRequest(person_id=person.id.upper()))
    assert answer.data == person
    assert answer.success


async def test_a_repeated_request_registers_once(site: PeopleSite) -> None:
    first = await site.person("Ada", request_id="r1")
    assert await site.person("Ada", request_id="r1") == first
    with refused(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED") as refusal:
        await site.person("Bob", request_id="r1")
    assert refusal.metadata["person_id"] == first.id
    assert await names_of(site) == ["Ada"]
    assert (await site.person("Ada")).id != first.id


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\x00b"])
async def test_a_name_must_say_something(site: PeopleSite, name: str) -> None:
    with refused(INVALID, "REQUEST_INVALID") as refusal:
        await site.person(name)
    assert refusal.fields == ["name"]


@pytest.mark.parametrize("person_id", ["nobody", NOBODY, "x" * 1000])
async def test_who_is_not_there_is_not_found(site: PeopleSite, person_id: str) -> None:
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.persons.GetPerson(pb.GetPersonRequest(person_id=person_id))
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.persons.UpdatePerson(pb.UpdatePersonRequest(person_id=person_id, name="x"))
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.persons.DeletePerson(pb.DeletePersonRequest(person_id=person_id))
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.persons.ListFaces(pb.ListFacesRequest(person_id=person_id))


async def test_only_what_is_named_changes(site: PeopleSite) -> None:
    person = await site.person("Ada", notes="first", labels=["staff"])
    renamed = await site.persons.UpdatePerson(
        pb.UpdatePersonRequest(person_id=person.id, name="Ada L.")
    )
    assert (renamed.data.name, renamed.data.notes) == ("Ada L.", "first")
    assert list(renamed.data.labels) == ["staff"]
    emptied = await site.persons.UpdatePerson(
        pb.UpdatePersonRequest(person_id=person.id, notes="", labels=pb.LabelList())
    )
    assert (emptied.data.name, emptied.data.notes, list(emptied.data.labels)) == ("Ada L.", "", [])
    assert await names_of(site, name="ada l") == ["Ada L."]


async def test_people_are_listed_by_name_whatever_the_case(site: PeopleSite) -> None:
    for name in ("bob", "Ada", "Zoë", "ÅSA", "ada"):
        await site.person(name)
    assert sorted(await names_of(site), key=model.fold) == await names_of(site)
    assert await names_of(site, name="åsa") == ["ÅSA"]
    assert await names_of(site, name="ZOË") == ["Zoë"]
    assert await names_of(site, name="%") == []
    assert await names_of(site, name="_") == []


async def test_pages_hold_every_person_once(site: PeopleSite) -> None:
    names = [f"Person {number % 3}" for number in range(11)]
    for name in names:
        await site.person(name)
    assert await names_of(site, page_size=3) == sorted(names)
    assert await names_of(site, page_size=11) == sorted(names)
    await site.person("\N{GRINNING FACE}" * 200)
    await site.person("\N{GRINNING FACE}" * 199)
    assert len(await names_of(site, page_size=1)) == 13


async def test_a_page_token_belongs_to_its_list(site: PeopleSite) -> None:
    for name in ("Ada", "Adam"):
        await site.person(name)
    first = await site.persons.ListPersons(pb.ListPersonsRequest(name="ada", page_size=1))
    assert first.next_page_token
    for token, name in ((first.next_page_token, "bob"), ("rubbish", "ada")):
        with refused(INVALID, "PAGE_TOKEN_INVALID"):
            await site.persons.ListPersons(pb.ListPersonsRequest(name=name, page_token=token))


@given(st.text(max_size=200))
def test_a_sort_key_fits_into_a_page_token(name: str) -> None:
    key = model.sort_key(model.fold(name))
    assert model.fold(name).startswith(key)
    assert len(encode_page_token({"list": "persons"}, [key, new_id()])) <= 512


@given(st.text(min_size=1, max_size=200))
def test_a_clean_name_stays_clean(name: str) -> None:
    try:
        cleaned = model.clean_name(name)
    except InvalidArgument:
        return
    assert model.clean_name(cleaned) == cleaned
    assert model.fold(cleaned) == model.fold(name)
