"""What `dfip person …` does."""

import uuid
from collections.abc import Sequence

import grpc
from google.api import httpbody_pb2

from cli.client.access import Access, connected
from cli.client.lookup import list_persons, person_id_of
from cli.client.photos import Photo
from cli.client.rpc_failures import command_failure
from cli.client.times import full_time, short_time
from cli.failures import CommandFailed
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import person_pb2, person_service_pb2, person_service_pb2_grpc

_ENROL_S = 60.0  # a large photograph on a busy machine

PERSON: tuple[Column[person_pb2.Person], ...] = (
    Column(title="id", value=lambda p: p.id),
    Column(title="name", value=lambda p: p.name),
    Column(title="faces", value=lambda p: str(p.face_count)),
    Column(
        title="last seen",
        value=lambda p: full_time(p.last_seen_at),
        shown=lambda p: short_time(p.last_seen_at),
    ),
)

RECEIPT: tuple[Column[person_pb2.ErasureReceipt], ...] = (
    Column(title="receipt", value=lambda r: r.id),
    Column(title="person", value=lambda r: r.person_id),
    Column(title="erased at", value=lambda r: full_time(r.erased_at)),
    Column(title="faces", value=lambda r: str(r.faces)),
    Column(title="sightings", value=lambda r: str(r.sightings)),
    Column(title="pictures", value=lambda r: str(r.pictures)),
    Column(title="alerts", value=lambda r: str(r.alerts)),
    Column(title="alert rules", value=lambda r: str(r.alert_rules)),
    Column(title="watch lists", value=lambda r: str(r.watch_lists)),
)


async def add_person(
    access: Access,
    output: Output,
    talk: Talk,
    *,
    name: str,
    photos: Sequence[Photo],
    face_index: int | None = None,
    force: bool = False,
) -> None:
    """Register a person and enrol each photograph; a person without a face is not kept.

    Args:
        access: the site.
        output: prints the person.
        talk: says how each photograph fared.
        name: what to call the person.
        photos: read already.
        face_index: which face where there are several, 0 is the largest; None wants just one.
        force: enrol poor faces too, and those that seem to be somebody else's.

    Raises:
        CommandFailed: a photograph was refused; a sentence for each.
    """
    refused: list[CommandFailed] = []
    async with connected(access) as channel:
        stub = person_service_pb2_grpc.PersonServiceStub(channel)
        created = await stub.CreatePerson(
            person_service_pb2.CreatePersonRequest(name=name, request_id=str(uuid.uuid4()))
        )
        person_id = created.data.id
        for photo in photos:
            try:
                request = person_service_pb2.AddFaceRequest(
                    person_id=person_id,
                    image=httpbody_pb2.HttpBody(content_type=photo.content_type, data=photo.data),
                    face_index=face_index,
                    force=force,
                )
                face = (await stub.AddFace(request, timeout=_ENROL_S)).data
                talk.say(f"{photo.path}: enrolled, quality {face.quality.score:.2f}")
            except grpc.aio.AioRpcError as error:
                failure = command_failure(error, access.server)
                sentence = f"{photo.path}: {failure.sentence}"
                refused.append(
                    CommandFailed(sentence, code=failure.code, request_id=failure.request_id)
                )
        if len(refused) == len(photos):
            await stub.DeletePerson(person_service_pb2.DeletePersonRequest(person_id=person_id))
        else:
            answer = await stub.GetPerson(person_service_pb2.GetPersonRequest(person_id=person_id))
            output.record(answer.data, PERSON)
    if refused:
        raise _refusal(name, refused, kept=len(refused) < len(photos))


async def print_persons(access: Access, output: Output) -> None:
    """Print everybody."""
    async with connected(access) as channel:
        people = await list_persons(channel)
    output.listing(
        people,
        PERSON,
        empty="Nobody is enrolled yet; enrol somebody with `dfip person add NAME PHOTO`.",
    )


async def remove_person(access: Access, output: Output, *, person: str) -> None:
    """Erase a person and print the receipt."""
    async with connected(access) as channel:
        answer = await person_service_pb2_grpc.PersonServiceStub(channel).DeletePerson(
            person_service_pb2.DeletePersonRequest(person_id=await person_id_of(channel, person))
        )
    output.record(answer.data, RECEIPT)


def _refusal(name: str, refused: Sequence[CommandFailed], *, kept: bool) -> CommandFailed:
    lines = [failure.sentence for failure in refused]
    if not kept:
        lines.append(f"No photograph could be enrolled, so {name} is not kept.")
    return CommandFailed("\n".join(lines), code=refused[0].code, request_id=refused[0].request_id)
