"""A site in this process: a real gRPC server with the contracts that the client commands call."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from google.api import httpbody_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cli.client.access import Access
from dfip.camera_manager.v1 import (
    manager_service_pb2,
    manager_service_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
)
from dfip.control_plane.v1 import (
    camera_pb2,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
    person_pb2,
    person_service_pb2,
    person_service_pb2_grpc,
    runtime_pb2,
    sighting_pb2,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)
from service_runtime.secret import Secret

REQUEST_ID = "request-1"
JPEG = b"\xff\xd8\xff a picture"


@dataclass
class World:
    """What the site holds, and what it was asked."""

    cameras: dict[str, camera_pb2.Camera] = field(default_factory=dict)
    urls: list[str] = field(default_factory=list)
    people: dict[str, person_pb2.Person] = field(default_factory=dict)
    sightings: list[sighting_pb2.Sighting] = field(default_factory=list)
    refused_photos: dict[bytes, str] = field(default_factory=dict)
    tokens: list[token_service_pb2.IssueTokenRequest] = field(default_factory=list)
    tickets: list[token_service_pb2.IssueMediaTicketRequest] = field(default_factory=list)
    snapshots: list[media_service_pb2.GetSnapshotRequest] = field(default_factory=list)
    resumed_with: list[str] = field(default_factory=list)
    manager_away: bool = False
    away: bool = False
    happening: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def add_camera(self, name: str) -> camera_pb2.Camera:
        camera = camera_pb2.Camera(id=str(uuid.uuid4()), name=name, desired_state="stopped")
        self.cameras[camera.id] = camera
        return camera


async def refuse(
    context: grpc.aio.ServicerContext,
    code: grpc.StatusCode,
    sentence: str,
    field_name: str = "",
) -> None:
    """End a call the way the services do."""
    status = status_pb2.Status(code=code.value[0], message=sentence)
    violations = error_details_pb2.BadRequest()
    if field_name:
        violations.field_violations.add(field=field_name, description="is too long")
        status.details.add().Pack(violations)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="X", domain="dfip.test"))
    status.details.add().Pack(error_details_pb2.RequestInfo(request_id=REQUEST_ID))
    wire = rpc_status.to_status(status)
    await context.abort(wire.code, wire.details, wire.trailing_metadata)


class _Cameras(control_plane_service_pb2_grpc.ControlPlaneServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def CreateCamera(
        self,
        request: control_plane_service_pb2.CreateCameraRequest,
        context: grpc.aio.ServicerContext,
    ) -> control_plane_service_pb2.CreateCameraResponse:
        if request.connection_string.startswith("ftp"):
            await refuse(
                context, grpc.StatusCode.INVALID_ARGUMENT, "It is no camera.", "connection_string"
            )
        camera = self.world.add_camera(request.name)
        camera.desired_state = request.desired_state
        camera.location = request.location
        self.world.urls.append(request.connection_string)
        return control_plane_service_pb2.CreateCameraResponse(success=True, data=camera)

    async def ListCameras(
        self,
        request: control_plane_service_pb2.ListCamerasRequest,  # noqa: ARG002 - the contract's
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - signature
    ) -> AsyncIterator[camera_pb2.CameraSummary]:
        for camera in self.world.cameras.values():
            yield camera_pb2.CameraSummary(id=camera.id, name=camera.name)

    async def SetCameraStatus(
        self,
        request: control_plane_service_pb2.SetCameraStatusRequest,
        context: grpc.aio.ServicerContext,
    ) -> control_plane_service_pb2.SetCameraStatusResponse:
        camera = self.world.cameras.get(request.camera_id)
        if camera is None:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "No camera has this id.")
        assert camera is not None
        camera.desired_state = "running" if request.status == "enabled" else "stopped"
        return control_plane_service_pb2.SetCameraStatusResponse(success=True, data=camera)

    async def DeleteCamera(
        self,
        request: control_plane_service_pb2.DeleteCameraRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> control_plane_service_pb2.DeleteCameraResponse:
        del self.world.cameras[request.camera_id]
        return control_plane_service_pb2.DeleteCameraResponse(success=True)

    async def ListCameraRuntimes(
        self,
        request: control_plane_service_pb2.ListCameraRuntimesRequest,  # noqa: ARG002 - contract's
        context: grpc.aio.ServicerContext,
    ) -> control_plane_service_pb2.ListCameraRuntimesResponse:
        if self.world.away:
            await refuse(context, grpc.StatusCode.UNAVAILABLE, "Going down.")
        runtime = runtime_pb2.CameraRuntime(
            worker_status="backoff",
            failure_reason="refused",
            failure_message="Nothing listens there; check the port.",
        )
        runtime.next_retry_at.FromJsonString("2026-01-02T03:04:05Z")
        return control_plane_service_pb2.ListCameraRuntimesResponse(
            success=True,
            data=[
                runtime_pb2.CameraWithRuntime(id=camera.id, name=camera.name, runtime=runtime)
                for camera in self.world.cameras.values()
            ],
        )


class _People(person_service_pb2_grpc.PersonServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def CreatePerson(
        self,
        request: person_service_pb2.CreatePersonRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> person_service_pb2.CreatePersonResponse:
        person = person_pb2.Person(id=str(uuid.uuid4()), name=request.name)
        self.world.people[person.id] = person
        return person_service_pb2.CreatePersonResponse(success=True, data=person)

    async def GetPerson(
        self,
        request: person_service_pb2.GetPersonRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> person_service_pb2.GetPersonResponse:
        return person_service_pb2.GetPersonResponse(data=self.world.people[request.person_id])

    async def ListPersons(
        self,
        request: person_service_pb2.ListPersonsRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> person_service_pb2.ListPersonsResponse:
        # one a page, so that the client has to turn pages
        found = [p for p in self.world.people.values() if request.name in p.name]
        start = int(request.page_token or 0)
        after = str(start + 1) if start + 1 < len(found) else ""
        return person_service_pb2.ListPersonsResponse(
            data=found[start : start + 1], next_page_token=after
        )

    async def AddFace(
        self,
        request: person_service_pb2.AddFaceRequest,
        context: grpc.aio.ServicerContext,
    ) -> person_service_pb2.AddFaceResponse:
        refusal = self.world.refused_photos.get(request.image.data)
        if refusal:
            await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, refusal)
        self.world.people[request.person_id].face_count += 1
        return person_service_pb2.AddFaceResponse(success=True)

    async def DeletePerson(
        self,
        request: person_service_pb2.DeletePersonRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> person_service_pb2.DeletePersonResponse:
        gone = self.world.people.pop(request.person_id)
        receipt = person_pb2.ErasureReceipt(id="r1", person_id=gone.id, faces=gone.face_count)
        return person_service_pb2.DeletePersonResponse(success=True, data=receipt)


class _Sightings(sighting_service_pb2_grpc.SightingServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def ListSightings(
        self,
        request: sighting_service_pb2.ListSightingsRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> sighting_service_pb2.ListSightingsResponse:
        found = [s for s in self.world.sightings if request.camera_id in {"", s.camera_id}]
        return sighting_service_pb2.ListSightingsResponse(data=found[: request.page_size])

    async def WatchSightings(
        self,
        request: sighting_service_pb2.WatchSightingsRequest,
        context: grpc.aio.ServicerContext,
    ) -> AsyncIterator[sighting_service_pb2.WatchSightingsResponse]:
        self.world.resumed_with.append(request.resume_token)
        first = int(request.resume_token or 0)
        for number, sighting in enumerate(self.world.sightings[first:], start=first + 1):
            yield sighting_service_pb2.WatchSightingsResponse(
                sightings=[sighting], resume_token=str(number)
            )
            if not request.resume_token:
                await refuse(context, grpc.StatusCode.UNAVAILABLE, "Going down.")


class _Events(event_service_pb2_grpc.EventServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def WatchEvents(
        self,
        request: event_service_pb2.WatchEventsRequest,  # noqa: ARG002 - the contract's
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - signature
    ) -> AsyncIterator[event_service_pb2.WatchEventsResponse]:
        while True:
            event = event_pb2.Event(type=await self.world.happening.get())
            yield event_service_pb2.WatchEventsResponse(event=event, resume_token="t")


class _Tokens(token_service_pb2_grpc.TokenServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def IssueToken(
        self,
        request: token_service_pb2.IssueTokenRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> token_service_pb2.IssueTokenResponse:
        self.world.tokens.append(request)
        token = token_service_pb2.IssuedToken(token="a.b.c", role=request.role)
        return token_service_pb2.IssueTokenResponse(success=True, data=token)

    async def IssueMediaTicket(
        self,
        request: token_service_pb2.IssueMediaTicketRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 - the contract's signature
    ) -> token_service_pb2.IssueMediaTicketResponse:
        self.world.tickets.append(request)
        ticket = token_service_pb2.MediaTicket(ticket="t", url="/cameras/c/live?ticket=t")
        return token_service_pb2.IssueMediaTicketResponse(success=True, data=ticket)


class _Media(media_service_pb2_grpc.MediaServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def GetSnapshot(
        self, request: media_service_pb2.GetSnapshotRequest, context: grpc.aio.ServicerContext
    ) -> httpbody_pb2.HttpBody:
        assert context is not None
        self.world.snapshots.append(request)
        return httpbody_pb2.HttpBody(content_type="image/jpeg", data=JPEG)


class _Manager(manager_service_pb2_grpc.ManagerServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def GetManagerStatus(
        self,
        request: manager_service_pb2.GetManagerStatusRequest,  # noqa: ARG002 - the contract's
        context: grpc.aio.ServicerContext,
    ) -> manager_service_pb2.GetManagerStatusResponse:
        if self.world.manager_away:
            await refuse(context, grpc.StatusCode.UNAVAILABLE, "The manager is starting.")
        worker = manager_service_pb2.Worker(camera_id="c1", podName="camera-worker-c1")
        status = manager_service_pb2.ManagerStatus(worker_count=1, workers=[worker])
        return manager_service_pb2.GetManagerStatusResponse(success=True, data=status)


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Access]:
    """Serve a world on a free port of this machine."""
    server = grpc.aio.server()
    control_plane_service_pb2_grpc.add_ControlPlaneServiceServicer_to_server(
        _Cameras(world), server
    )
    person_service_pb2_grpc.add_PersonServiceServicer_to_server(_People(world), server)
    sighting_service_pb2_grpc.add_SightingServiceServicer_to_server(_Sightings(world), server)
    event_service_pb2_grpc.add_EventServiceServicer_to_server(_Events(world), server)
    token_service_pb2_grpc.add_TokenServiceServicer_to_server(_Tokens(world), server)
    manager_service_pb2_grpc.add_ManagerServiceServicer_to_server(_Manager(world), server)
    media_service_pb2_grpc.add_MediaServiceServicer_to_server(_Media(world), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        target = f"127.0.0.1:{port}"
        yield Access(server=f"http://{target}", target=target, token=Secret("t"))
    finally:
        await server.stop(0)
