"""What `dfip label`, `dfip search`, `dfip person merge` and `dfip person add-face` do."""

from collections.abc import Sequence
from datetime import datetime

from google.api import httpbody_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of, camera_names, person_id_of
from cli.client.persons import PERSON
from cli.client.photos import Photo
from cli.client.sightings import sighting_columns
from cli.client.times import short_time
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import (
    face_pb2,
    person_service_pb2,
    person_service_pb2_grpc,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
)

_ENROL_S = 60.0  # a large photograph on a busy machine
_FoundFace = sighting_service_pb2.FoundFace

FACE: tuple[Column[face_pb2.Face], ...] = (
    Column(title="id", value=lambda f: f.id),
    Column(title="person", value=lambda f: f.person_id),
    Column(title="quality", value=lambda f: f"{f.quality.score:.2f}"),
    Column(title="verdict", value=lambda f: f.quality.verdict),
)

FOUND: tuple[Column[_FoundFace], ...] = (
    Column(title="decision", value=lambda f: f.decision),
    Column(title="person id", value=lambda f: _best(f, "person_id"), aside=True),
    Column(title="person", value=lambda f: _best(f, "person_name")),
    Column(title="score", value=lambda f: f"{f.candidates[0].score:.3f}" if f.candidates else ""),
    Column(title="quality", value=lambda f: f"{f.quality.score:.2f}"),
    Column(
        title="box",
        value=lambda f: f"{f.box.x:.3f},{f.box.y:.3f},{f.box.width:.3f},{f.box.height:.3f}",
    ),
    Column(
        title="past sightings",
        value=lambda f: ",".join(one.sighting.id for one in f.sightings),
        shown=lambda f: str(len(f.sightings)),
    ),
)


async def label_sighting(
    access: Access, output: Output, *, sighting: str, label: str, person: str
) -> None:
    """Say who a sighting was, or was not, and print it as it is now."""
    async with connected(access) as channel:
        answer = await sighting_service_pb2_grpc.SightingServiceStub(channel).LabelSighting(
            sighting_service_pb2.LabelSightingRequest(
                sighting_id=sighting,
                label=label,
                person_id=await person_id_of(channel, person) if person else "",
            )
        )
        names = await camera_names(channel)
    output.record(answer.data, sighting_columns(names))


async def search_photo(
    access: Access,
    output: Output,
    talk: Talk,
    *,
    photo: Photo,
    camera: str,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Say who is on a photograph, and which past sightings look alike."""
    async with connected(access) as channel:
        answer = await sighting_service_pb2_grpc.SightingServiceStub(channel).SearchByPhoto(
            sighting_service_pb2.SearchByPhotoRequest(
                image=httpbody_pb2.HttpBody(content_type=photo.content_type, data=photo.data),
                camera_id=await camera_id_of(channel, camera) if camera else "",
                since=_stamp(since),
                until=_stamp(until),
            ),
            timeout=_ENROL_S,
        )
    output.listing(list(answer.data), FOUND)
    if answer.sightings_compared:
        talk.say(f"{answer.sightings_compared} past sightings were compared.")
        _tell_similar(answer.data, talk)
    if answer.truncated:
        talk.say(
            "There were more sightings than one search compares; ask for less time.", "warning"
        )


async def add_faces(
    access: Access,
    output: Output,
    talk: Talk,
    *,
    person: str,
    photos: Sequence[Photo],
    sighting: str,
    force: bool,
) -> None:
    """Enrol more faces of a person: from photographs, or from a sighting."""
    faces: list[face_pb2.Face] = []
    async with connected(access) as channel:
        stub = person_service_pb2_grpc.PersonServiceStub(channel)
        person_id = await person_id_of(channel, person)
        try:
            for photo in photos:
                image = httpbody_pb2.HttpBody(content_type=photo.content_type, data=photo.data)
                request = person_service_pb2.AddFaceRequest(
                    person_id=person_id, image=image, force=force
                )
                faces.append((await stub.AddFace(request, timeout=_ENROL_S)).data)
            if sighting:
                from_sighting = person_service_pb2.AddFaceFromSightingRequest(
                    person_id=person_id, sighting_id=sighting, force=force
                )
                faces.append((await stub.AddFaceFromSighting(from_sighting, timeout=_ENROL_S)).data)
        finally:
            # what is enrolled is enrolled, also where the next photograph was refused
            output.listing(faces, FACE, empty="No face was enrolled.")
    talk.say(f"{len(faces)} enrolled.")


async def merge_persons(access: Access, output: Output, *, stays: str, goes: str) -> None:
    """Make two records of one person into one, and print it."""
    async with connected(access) as channel:
        answer = await person_service_pb2_grpc.PersonServiceStub(channel).MergePersons(
            person_service_pb2.MergePersonsRequest(
                person_id=await person_id_of(channel, stays),
                other_person_id=await person_id_of(channel, goes),
            )
        )
    output.record(answer.data, PERSON)


def _tell_similar(faces: Sequence[_FoundFace], talk: Talk) -> None:
    for number, face in enumerate(faces, 1):
        for one in face.sightings:
            seen = short_time(one.sighting.started_at)
            talk.say(f"face {number}: score {one.score:.3f}, {seen}, sighting {one.sighting.id}")


def _best(face: _FoundFace, field: str) -> str:
    return str(getattr(face.candidates[0], field)) if face.candidates else ""


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    # a time without a zone is meant as the clock on the wall has it
    stamp.FromDatetime(moment.astimezone())
    return stamp
