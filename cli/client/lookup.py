"""Finds a camera or a person by id or by name, as people prefer to type."""

import uuid
from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc

from cli.client.pages import all_pages
from cli.failures import CommandFailed, ExitCode
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    person_pb2,
    person_service_pb2,
    person_service_pb2_grpc,
)

T = TypeVar("T")


async def camera_id_of(channel: grpc.aio.Channel, reference: str) -> str:
    """Return the id of the camera with this id or exactly this name.

    Raises:
        CommandFailed: no camera has this name, or several have.
    """
    if is_id(reference):
        return reference
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
    request = control_plane_service_pb2.ListCamerasRequest()
    cameras = [camera async for camera in stub.ListCameras(request)]
    return only_one(reference, "camera", cameras, lambda c: c.name, lambda c: c.id)


async def person_id_of(channel: grpc.aio.Channel, reference: str) -> str:
    """Return the id of the person with this id or exactly this name.

    Raises:
        CommandFailed: nobody has this name, or several have.
    """
    if is_id(reference):
        return reference
    people = await list_persons(channel, name=reference[:200])
    return only_one(reference, "person", people, lambda p: p.name, lambda p: p.id)


async def list_persons(channel: grpc.aio.Channel, *, name: str = "") -> list[person_pb2.Person]:
    """Return everybody whose name contains `name`, by name."""
    stub = person_service_pb2_grpc.PersonServiceStub(channel)
    return await all_pages(stub.ListPersons, person_service_pb2.ListPersonsRequest(name=name))


async def camera_names(channel: grpc.aio.Channel) -> dict[str, str]:
    """Return the name of each camera by its id."""
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
    request = control_plane_service_pb2.ListCamerasRequest()
    return {camera.id: camera.name async for camera in stub.ListCameras(request)}


async def person_names(channel: grpc.aio.Channel) -> dict[str, str]:
    """Return the name of each person by their id."""
    return {person.id: person.name for person in await list_persons(channel)}


def is_id(reference: str) -> bool:
    """Tell whether a text is an id rather than a name."""
    try:
        return str(uuid.UUID(reference)) == reference.lower()
    except ValueError:
        return False


def only_one(
    reference: str,
    noun: str,
    things: Sequence[T],
    name_of: Callable[[T], str],
    id_of: Callable[[T], str],
    *,
    listing: str = "",
) -> str:
    """Return the id of the one thing with exactly this name.

    Args:
        reference: The name.
        noun: What such a thing is called.
        things: Where to look.
        name_of: Returns the name of a thing.
        id_of: Returns the id of a thing.
        listing: The command that lists them, where it is not called after the noun.

    Raises:
        CommandFailed: none has this name, or several have.
    """
    found = [id_of(thing) for thing in things if name_of(thing) == reference]
    if not found:
        command = listing or f"{noun} list"
        raise CommandFailed(
            f"No {noun} is called {reference!r}; `dfip {command}` shows them all.",
            code=ExitCode.NOT_FOUND,
        )
    if len(found) > 1:
        raise CommandFailed(
            f"{len(found)} {noun}s are called {reference!r}; use an id: {', '.join(found)}.",
            code=ExitCode.CONFLICT,
        )
    return found[0]
