"""How each change of a person, a face or a sighting is made."""

from dfip.control_plane.v1 import (
    person_service_pb2,
    sighting_service_pb2,
)
from tests.support.audited_changes.walk import NOTE, NOTHING, About, Changes, Walk
from tests.support.sightings import Reports, report


async def create_person(walk: Walk) -> tuple[About, About]:
    return ("person", (await walk.people.person()).id), NOTHING


async def update_person(walk: Walk) -> tuple[About, About]:
    person = await walk.people.person()
    await walk.people.persons.UpdatePerson(
        person_service_pb2.UpdatePersonRequest(person_id=person.id, notes=NOTE)
    )
    return ("person", person.id), NOTHING


async def delete_person(walk: Walk) -> tuple[About, About]:
    person_id, _ = await walk.face()
    await walk.people.persons.DeletePerson(
        person_service_pb2.DeletePersonRequest(person_id=person_id)
    )
    return ("person", person_id), NOTHING


async def add_face(walk: Walk) -> tuple[About, About]:
    person_id, face_id = await walk.face()
    return ("face", face_id), ("person", person_id)


async def delete_face(walk: Walk) -> tuple[About, About]:
    person_id, face_id = await walk.face()
    await walk.people.persons.DeleteFace(
        person_service_pb2.DeleteFaceRequest(person_id=person_id, face_id=face_id)
    )
    return ("face", face_id), ("person", person_id)


async def merge_persons(walk: Walk) -> tuple[About, About]:
    stays, goes = await walk.people.person("Ada"), await walk.people.person("Bert")
    await walk.people.persons.MergePersons(
        person_service_pb2.MergePersonsRequest(person_id=stays.id, other_person_id=goes.id)
    )
    return ("person", goes.id), NOTHING


async def seen(walk: Walk) -> str:
    reports = await Reports.open(walk.site)
    sighting = report("unknown", face=walk.new_face())
    await reports.send(sighting)
    return str(sighting.id)


async def add_face_from_sighting(walk: Walk) -> tuple[About, About]:
    person, sighting_id = await walk.people.person(), await seen(walk)
    face = await walk.people.persons.AddFaceFromSighting(
        person_service_pb2.AddFaceFromSightingRequest(person_id=person.id, sighting_id=sighting_id)
    )
    return ("face", face.data.id), ("person", person.id)


async def label_sighting(walk: Walk) -> tuple[About, About]:
    person, sighting_id = await walk.people.person(), await seen(walk)
    await walk.sightings.LabelSighting(
        sighting_service_pb2.LabelSightingRequest(
            sighting_id=sighting_id, label="move", person_id=person.id
        )
    )
    return ("sighting", sighting_id), NOTHING


CHANGES: Changes = {
    "PersonService/CreatePerson": ("person.create", create_person),
    "PersonService/UpdatePerson": ("person.update", update_person),
    "PersonService/DeletePerson": ("person.delete", delete_person),
    "PersonService/AddFace": ("face.add", add_face),
    "PersonService/DeleteFace": ("face.delete", delete_face),
    "PersonService/MergePersons": ("persons.merge", merge_persons),
    "PersonService/AddFaceFromSighting": ("face_from_sighting.add", add_face_from_sighting),
    "SightingService/LabelSighting": ("sighting.label", label_sighting),
}
