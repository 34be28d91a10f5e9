"""A control plane with a small identity index beside it, and what tests of people ask of them."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api import httpbody_pb2
from numpy.typing import NDArray

from dfip.control_plane.v1 import (
    face_pb2,
    person_pb2,
    person_service_pb2,
    person_service_pb2_grpc,
)
from dfip.identity_index.v1 import identity_index_service_pb2 as index_pb2
from dfip.identity_index.v1 import identity_index_service_pb2_grpc
from service_runtime.authentication import TokenVerifier
from service_runtime.clients import MeshChannel
from service_runtime.clock import Clock, SystemClock
from service_runtime.server import Binding, Server
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.fake_index import FakeIndex, found


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleSite:
    """A control plane, its index, and shorthands for what tests do again and again."""

    site: RunningControlPlane
    index: FakeIndex
    persons: Any
    stop_index: Callable[[], Awaitable[None]]

    async def person(self, name: str = "Ada", **fields: Any) -> person_pb2.Person:
        request = person_service_pb2.CreatePersonRequest(name=name, **fields)
        answer: person_service_pb2.CreatePersonResponse = await self.persons.CreatePerson(request)
        return answer.data

    def photograph(self, name: str, *faces: index_pb2.AnalyzedFace) -> bytes:
        """Return a picture on which the index finds these faces."""
        picture = f"picture {name}".encode()
        self.index.pictures[picture] = list(faces)
        return picture

    async def send(
        self,
        person_id: str,
        picture: bytes,
        **fields: Any,
    ) -> face_pb2.Face:
        """Send a picture as a face of a person."""
        request = person_service_pb2.AddFaceRequest(
            person_id=person_id,
            image=httpbody_pb2.HttpBody(content_type="image/jpeg", data=picture),
            **fields,
        )
        answer: person_service_pb2.AddFaceResponse = await self.persons.AddFace(request)
        return answer.data

    async def enrol(
        self, person_id: str, values: NDArray[Any], portrait: bytes = b"\xff\xd8\xffportrait"
    ) -> face_pb2.Face:
        """Enrol a face with this embedding."""
        name = f"{person_id} {values.tobytes().hex()}"
        picture = self.photograph(name, found(values, portrait=portrait))
        return await self.send(person_id, picture)


@contextlib.asynccontextmanager
async def running_people_site(
    folder: Path, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[PeopleSite]:
    """Run both until the block ends; on the folder of an earlier run, it is a restart."""
    index = FakeIndex()
    async with contextlib.AsyncExitStack() as stack:
        sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="dfip-"))
        target = f"unix:{sockets}/index.sock"
        site = await stack.enter_async_context(
            running_control_plane(folder, clock=clock, index_target=target, **settings)
        )
        channel = site.channel("index")
        server = await stack.enter_async_context(
            running_index(target, site.settings.jwks_file, channel, index=index, clock=clock)
        )

        async def stop_index() -> None:
            await server.stop(0)

        persons = person_service_pb2_grpc.PersonServiceStub(site.channel("admin"))
        yield PeopleSite(site=site, index=index, persons=persons, stop_index=stop_index)


@contextlib.asynccontextmanager
async def running_index(
    target: str,
    jwks_file: Path,
    channel: MeshChannel,
    *,
    index: FakeIndex | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Server]:
    """Serve a small index at an address, and let it follow the control plane over a channel."""
    index = index or FakeIndex()
    clock = clock or SystemClock()
    server = Server(
        room="identity_index",
        listen=target,
        bindings=[
            Binding(
                descriptor=index_pb2.DESCRIPTOR.services_by_name["IdentityIndexService"],
                add=identity_index_service_pb2_grpc.add_IdentityIndexServiceServicer_to_server,
                servicer=index,
            )
        ],
        verifier=TokenVerifier(jwks_file, clock),
        clock=clock,
    )
    await server.start()
    following = asyncio.create_task(index.follow(channel))
    try:
        yield server
    finally:
        await _ended(following)
        await server.stop(0)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
