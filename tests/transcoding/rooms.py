"""The services behind the edge, small: real servers and contracts, with cameras kept in a dict.

They show how the edge carries what services say. What services ought to say is not tested here.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from google.api import httpbody_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from dfip.camera_manager.v1 import manager_service_pb2, manager_service_pb2_grpc
from dfip.control_plane.v1 import (
    camera_pb2,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
    face_pb2,
    person_pb2,
    person_service_pb2,
    person_service_pb2_grpc,
    runtime_pb2,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)
from dfip.identity_index.v1 import (
    identity_index_service_pb2,
    identity_index_service_pb2_grpc,
)
from service_runtime.authentication import TokenVerifier
from service_runtime.clock import SystemClock
from service_runtime.errors import AlreadyExists, InvalidArgument, NotFound
from service_runtime.identifiers import new_id, parse_id
from service_runtime.limits import PICTURE_MAX_MESSAGE_BYTES
from service_runtime.server import Binding, Server
from tests.support.tokens import TestAuthority
from tests.transcoding.recording import Context, Recording

REGISTERED = datetime(2025, 9, 17, 10, tzinfo=UTC)
ROOMS = ("camera_manager", "control_plane", "identity_index")
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 2000


class Cameras(control_plane_service_pb2_grpc.ControlPlaneServiceServicer):
    """Cameras in a dict, by id."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.cameras: dict[str, camera_pb2.Camera] = {}

    async def CreateCamera(
        self, request: control_plane_service_pb2.CreateCameraRequest, context: Context
    ) -> control_plane_service_pb2.CreateCameraResponse:
        self._recording.note("CreateCamera", request, context)
        if not request.connection_string.startswith(("rtsp://", "http://")):
            raise InvalidArgument("CONNECTION_STRING_INVALID", "Use rtsp or http.")
        if any(camera.name == request.name for camera in self.cameras.values()):
            raise AlreadyExists("CAMERA_EXISTS", "A camera has this name.", name=request.name)
        camera = camera_pb2.Camera(
            id=new_id(),
            name=request.name,
            status=request.status or "disabled",
            desired_state="stopped",
            location=request.location,
            description=request.description,
            created_at=_registered(),
            updated_at=_registered(),
        )
        camera.metadata.update(dict(request.metadata))
        self.cameras[camera.id] = camera
        await context.send_initial_metadata((("x-replica", "control-plane-0"),))
        return control_plane_service_pb2.CreateCameraResponse(
            success=True, message="Camera created successfully", data=camera
        )

    async def ListCameras(
        self, request: control_plane_service_pb2.ListCamerasRequest, context: Context
    ) -> AsyncIterator[camera_pb2.CameraSummary]:
        self._recording.note("ListCameras", request, context)
        if request.page_token == "stale":
            raise InvalidArgument("PAGE_TOKEN_INVALID", "Start again without a page token.")
        headers = [("x-replica", "control-plane-0")]
        if request.page_size:
            headers.append(("x-next-page-token", "page-2"))
        await context.send_initial_metadata(headers)
        for camera in self.cameras.values():
            yield camera_pb2.CameraSummary(
                id=camera.id,
                name=camera.name,
                status="healthy",
                desired_state=camera.desired_state,
            )

    async def GetCamera(
        self, request: control_plane_service_pb2.GetCameraRequest, context: Context
    ) -> control_plane_service_pb2.GetCameraResponse:
        self._recording.note("GetCamera", request, context)
        return control_plane_service_pb2.GetCameraResponse(
            success=True, message="Camera retrieved", data=self._find(request.camera_id)
        )

    async def SetCameraStatus(
        self, request: control_plane_service_pb2.SetCameraStatusRequest, context: Context
    ) -> control_plane_service_pb2.SetCameraStatusResponse:
        self._recording.note("SetCameraStatus", request, context)
        camera = self._find(request.camera_id)
        camera.status = request.status
        return control_plane_service_pb2.SetCameraStatusResponse(
            success=True, message="Camera status updated successfully", data=camera
        )

    async def ListCameraRuntimes(
        self, request: control_plane_service_pb2.ListCameraRuntimesRequest, context: Context
    ) -> control_plane_service_pb2.ListCameraRuntimesResponse:
        self._recording.note("ListCameraRuntimes", request, context)
        return control_plane_service_pb2.ListCameraRuntimesResponse(
            success=True,
            message="Cameras with runtime status retrieved successfully",
            data=[
                runtime_pb2.CameraWithRuntime(
                    id=camera.id,
                    runtime=runtime_pb2.CameraRuntime(
                        camera_id=camera.id, worker_status="stopped", health_status="unknown"
                    ),
                )
                for camera in self.cameras.values()
            ],
        )

    async def RetryCamera(
        self, request: control_plane_service_pb2.RetryCameraRequest, context: Context
    ) -> control_plane_service_pb2.RetryCameraResponse:
        self._recording.note("RetryCamera", request, context)
        self._find(request.camera_id)
        raise RuntimeError("rtsp://user:canary@camera is never shown to a caller")

    def _find(self, text: str) -> camera_pb2.Camera:
        camera_id = parse_id(text, noun="camera")
        try:
            return self.cameras[camera_id]
        except KeyError:
            raise NotFound(
                "CAMERA_NOT_FOUND",
                "No camera has this id; list them with GET /cameras.",
                camera_id=camera_id,
            ) from None


class Events(event_service_pb2_grpc.EventServiceServicer):
    """Events that the test puts into a queue, one at a time."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.hung_up = asyncio.Event()

    async def StreamEvents(
        self, request: event_service_pb2.StreamEventsRequest, context: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        self._recording.note("StreamEvents", request, context)
        try:
            while True:
                text = await self.queue.get()
                yield httpbody_pb2.HttpBody(
                    content_type="text/event-stream", data=f"{text}\n\n".encode()
                )
        finally:
            self.hung_up.set()

    async def WatchEvents(
        self, request: event_service_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[event_service_pb2.WatchEventsResponse]:
        self._recording.note("WatchEvents", request, context)
        try:
            while True:
                token = await self.queue.get()
                yield event_service_pb2.WatchEventsResponse(
                    event=event_pb2.Event(type="camera.enabled"), resume_token=token
                )
        finally:
            self.hung_up.set()


class People(person_service_pb2_grpc.PersonServiceServicer):
    """Nobody is kept; a face tells the digest and type of the picture it came from."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def CreatePerson(
        self, request: person_service_pb2.CreatePersonRequest, context: Context
    ) -> person_service_pb2.CreatePersonResponse:
        self._recording.note("CreatePerson", request, context)
        person = person_pb2.Person(id=new_id(), name=request.name, labels=request.labels)
        return person_service_pb2.CreatePersonResponse(success=True, data=person)

    async def AddFace(
        self, request: person_service_pb2.AddFaceRequest, context: Context
    ) -> person_service_pb2.AddFaceResponse:
        self._recording.note("AddFace", request, context)
        face = face_pb2.Face(
            id=hashlib.sha256(request.image.data).hexdigest(),
            person_id=request.person_id,
            pack_id=request.image.content_type,
            revision=7,
        )
        return person_service_pb2.AddFaceResponse(success=True, data=face)


class Sightings(sighting_service_pb2_grpc.SightingServiceServicer):
    """One picture for every sighting."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def GetSightingImage(
        self, request: sighting_service_pb2.GetSightingImageRequest, context: Context
    ) -> httpbody_pb2.HttpBody:
        self._recording.note("GetSightingImage", request, context)
        return httpbody_pb2.HttpBody(content_type="image/jpeg", data=JPEG)

    async def GetSightingContext(
        self, request: sighting_service_pb2.GetSightingContextRequest, context: Context
    ) -> httpbody_pb2.HttpBody:
        self._recording.note("GetSightingContext", request, context)
        return httpbody_pb2.HttpBody(content_type="image/jpeg", data=JPEG)


class Tokens(token_service_pb2_grpc.TokenServiceServicer):
    """A token that nobody would take."""

    async def IssueToken(
        self,
        request: token_service_pb2.IssueTokenRequest,
        context: Context,  # noqa: ARG002 the signature is the contract's
    ) -> token_service_pb2.IssueTokenResponse:
        issued = token_service_pb2.IssuedToken(token="not-a-token", role=request.role)
        return token_service_pb2.IssueTokenResponse(success=True, data=issued)


class Manager(manager_service_pb2_grpc.ManagerServiceServicer):
    """A manager with one worker."""

    async def GetManagerStatus(
        self,
        request: manager_service_pb2.GetManagerStatusRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002 the signature is the contract's
    ) -> manager_service_pb2.GetManagerStatusResponse:
        worker = manager_service_pb2.Worker(
            camera_id="c1",
            podName="camera-worker-c1",
            namespace="local",
            image="process",
            createdAt=_registered(),
        )
        status = manager_service_pb2.ManagerStatus(
            is_running=True, worker_count=1, workers=[worker]
        )
        return manager_service_pb2.GetManagerStatusResponse(success=True, data=status)


class Index(identity_index_service_pb2_grpc.IdentityIndexServiceServicer):
    """An empty index."""

    async def GetIndexStatus(
        self,
        request: identity_index_service_pb2.GetIndexStatusRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002 the signature is the contract's
    ) -> identity_index_service_pb2.GetIndexStatusResponse:
        status = identity_index_service_pb2.IndexStatus(pack_id="builtin", engine="faiss-flat")
        return identity_index_service_pb2.GetIndexStatusResponse(success=True, data=status)


@dataclass(slots=True, kw_only=True)
class Rooms:
    """The three services, each on its unix socket, with a way to stop and start one."""

    folder: Path
    authority: TestAuthority
    recording: Recording = field(default_factory=Recording)
    servers: dict[str, Server] = field(default_factory=dict)
    cameras: Cameras = field(init=False)
    events: Events = field(init=False)

    def __post_init__(self) -> None:
        self.cameras = Cameras(self.recording)
        self.events = Events(self.recording)

    @property
    def clusters(self) -> dict[str, str]:
        return {room: f"unix:{self.folder / room}.sock" for room in ROOMS}

    async def start(self, room: str, *, serving: bool = True) -> None:
        server = Server(
            room=room,
            listen=self.clusters[room],
            bindings=self._bindings(room),
            verifier=TokenVerifier(self.authority.jwks_file, SystemClock()),
            clock=SystemClock(),
            reflection=True,
            max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
        )
        await server.start()
        await server.set_serving(serving=serving)
        self.servers[room] = server

    async def stop(self, room: str) -> None:
        await self.servers.pop(room).stop(grace_s=0)

    def _bindings(self, room: str) -> list[Binding]:
        if room == "camera_manager":
            return [_bind(manager_service_pb2, manager_service_pb2_grpc, Manager())]
        if room == "identity_index":
            return [_bind(identity_index_service_pb2, identity_index_service_pb2_grpc, Index())]
        return [
            _bind(control_plane_service_pb2, control_plane_service_pb2_grpc, self.cameras),
            _bind(event_service_pb2, event_service_pb2_grpc, self.events),
            _bind(person_service_pb2, person_service_pb2_grpc, People(self.recording)),
            _bind(sighting_service_pb2, sighting_service_pb2_grpc, Sightings(self.recording)),
            _bind(token_service_pb2, token_service_pb2_grpc, Tokens()),
        ]


@contextlib.asynccontextmanager
async def running_rooms(folder: Path) -> AsyncIterator[Rooms]:
    """Serve all three until the block ends."""
    rooms = Rooms(folder=folder, authority=TestAuthority(folder))
    try:
        for room in ROOMS:
            await rooms.start(room)
        yield rooms
    finally:
        for room in list(rooms.servers):
            await rooms.stop(room)


def _bind(messages: object, services: object, servicer: object) -> Binding:
    """Bind the one service of a contract file."""
    (descriptor,) = messages.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]  # a generated module
    return Binding(
        descriptor=descriptor,
        add=getattr(services, f"add_{descriptor.name}Servicer_to_server"),
        servicer=servicer,
    )


def _registered() -> Timestamp:
    return Timestamp(seconds=int(REGISTERED.timestamp()))
