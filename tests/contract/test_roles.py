"""Who gets in: every RPC of the contracts, called as everybody there is, through a real server.

The table is the promise, written out by hand; the contracts have to say the same. What answers
behind the door implements nothing, so a caller is in when the answer is about anything but the
caller.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from service_runtime.authentication import TokenVerifier
from service_runtime.clock import SystemClock
from service_runtime.server import Server
from tests.contract.services import SERVICES
from tests.support.forgeries import forged_headers
from tests.support.tokens import TestAuthority

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN = frozenset({"admin"})
OPERATOR = ADMIN | {"operator"}
VIEWER = OPERATOR | {"viewer"}
WORKER = frozenset({"worker"})
MANAGER = frozenset({"manager"})
INDEX = frozenset({"index"})
CONTROL_PLANE = frozenset({"control_plane"})

ROLES = VIEWER | WORKER | MANAGER | INDEX | CONTROL_PLANE

LET_IN = {
    "dfip.camera_manager.v1.ManagerService/GetManagerStatus": OPERATOR,
    "dfip.camera_manager.v1.ManagerService/RestartWorker": OPERATOR,
    "dfip.camera_manager.v1.MediaService/GetSnapshot": VIEWER,
    "dfip.camera_manager.v1.MediaService/StreamLive": VIEWER,
    "dfip.control_plane.v1.AdminService/RotateKeys": ADMIN,
    "dfip.control_plane.v1.AdminService/GetKeyStatus": ADMIN,
    "dfip.control_plane.v1.AdminService/GetRetentionPolicy": ADMIN,
    "dfip.control_plane.v1.AdminService/SetRetentionPolicy": ADMIN,
    "dfip.control_plane.v1.AdminService/CreateBackup": ADMIN,
    "dfip.control_plane.v1.AdminService/ListBackups": ADMIN,
    "dfip.control_plane.v1.AuditService/ListAuditEntries": ADMIN,
    "dfip.control_plane.v1.AuditService/RecordLook": MANAGER,
    "dfip.control_plane.v1.AlertService/CreateAlertRule": OPERATOR,
    "dfip.control_plane.v1.AlertService/GetAlertRule": VIEWER,
    "dfip.control_plane.v1.AlertService/UpdateAlertRule": OPERATOR,
    "dfip.control_plane.v1.AlertService/DeleteAlertRule": OPERATOR,
    "dfip.control_plane.v1.AlertService/CreateWatchList": OPERATOR,
    "dfip.control_plane.v1.AlertService/GetWatchList": VIEWER,
    "dfip.control_plane.v1.AlertService/UpdateWatchList": OPERATOR,
    "dfip.control_plane.v1.AlertService/DeleteWatchList": OPERATOR,
    "dfip.control_plane.v1.AlertService/ListAlertRules": VIEWER,
    "dfip.control_plane.v1.AlertService/ListWatchLists": VIEWER,
    "dfip.control_plane.v1.AlertService/ListAlerts": VIEWER,
    "dfip.control_plane.v1.AlertService/GetAlert": VIEWER,
    "dfip.control_plane.v1.AlertService/WatchAlerts": VIEWER,
    "dfip.control_plane.v1.AlertService/AcknowledgeAlert": OPERATOR,
    "dfip.control_plane.v1.ControlPlaneService/CreateCamera": OPERATOR,
    "dfip.control_plane.v1.ControlPlaneService/ListCameras": VIEWER,
    "dfip.control_plane.v1.ControlPlaneService/GetCamera": VIEWER,
    "dfip.control_plane.v1.ControlPlaneService/UpdateCamera": OPERATOR,
    "dfip.control_plane.v1.ControlPlaneService/SetCameraStatus": OPERATOR,
    "dfip.control_plane.v1.ControlPlaneService/DeleteCamera": ADMIN,
    "dfip.control_plane.v1.ControlPlaneService/ListCameraRuntimes": VIEWER,
    "dfip.control_plane.v1.ControlPlaneService/ReportHeartbeat": WORKER,
    "dfip.control_plane.v1.ControlPlaneService/RetryCamera": OPERATOR,
    "dfip.control_plane.v1.ControlPlaneService/WatchCameras": MANAGER,
    "dfip.control_plane.v1.ControlPlaneService/ReportRuntimes": MANAGER,
    "dfip.control_plane.v1.ControlPlaneService/IssueWorkerToken": MANAGER,
    "dfip.control_plane.v1.EventService/StreamEvents": VIEWER,
    "dfip.control_plane.v1.EventService/WatchEvents": VIEWER,
    "dfip.control_plane.v1.LeaseService/AcquireLease": MANAGER,
    "dfip.control_plane.v1.LeaseService/RenewLease": MANAGER,
    "dfip.control_plane.v1.LeaseService/ReleaseLease": MANAGER,
    "dfip.control_plane.v1.PersonService/CreatePerson": OPERATOR,
    "dfip.control_plane.v1.PersonService/GetPerson": OPERATOR,
    "dfip.control_plane.v1.PersonService/ListPersons": OPERATOR,
    "dfip.control_plane.v1.PersonService/UpdatePerson": OPERATOR,
    "dfip.control_plane.v1.PersonService/DeletePerson": ADMIN,
    "dfip.control_plane.v1.PersonService/AddFace": OPERATOR,
    "dfip.control_plane.v1.PersonService/AddFaceFromSighting": OPERATOR,
    "dfip.control_plane.v1.PersonService/MergePersons": OPERATOR,
    "dfip.control_plane.v1.PersonService/ListFaces": OPERATOR,
    "dfip.control_plane.v1.PersonService/DeleteFace": OPERATOR,
    "dfip.control_plane.v1.PersonService/WatchFaces": INDEX,
    "dfip.control_plane.v1.SightingService/ListSightings": VIEWER,
    "dfip.control_plane.v1.SightingService/GetSighting": VIEWER,
    "dfip.control_plane.v1.SightingService/GetSightingImage": VIEWER,
    "dfip.control_plane.v1.SightingService/GetSightingContext": VIEWER,
    "dfip.control_plane.v1.SightingService/LabelSighting": OPERATOR,
    "dfip.control_plane.v1.SightingService/SearchByPhoto": OPERATOR,
    "dfip.control_plane.v1.SightingService/WatchSightings": VIEWER,
    "dfip.control_plane.v1.TelemetryService/ReportTelemetry": WORKER,
    "dfip.control_plane.v1.TelemetryService/StreamTelemetry": WORKER,
    "dfip.control_plane.v1.TelemetryService/QueryTelemetry": VIEWER,
    "dfip.control_plane.v1.TokenService/IssueToken": ADMIN,
    "dfip.control_plane.v1.TokenService/IssueMediaTicket": VIEWER,
    "dfip.control_plane.v1.TokenService/ListTokens": ADMIN,
    "dfip.control_plane.v1.TokenService/RevokeToken": ADMIN,
    "dfip.control_plane.v1.TokenService/RevokeSubjectTokens": ADMIN,
    "dfip.control_plane.v1.WebhookService/CreateWebhook": ADMIN,
    "dfip.control_plane.v1.WebhookService/GetWebhook": ADMIN,
    "dfip.control_plane.v1.WebhookService/ListWebhooks": ADMIN,
    "dfip.control_plane.v1.WebhookService/UpdateWebhook": ADMIN,
    "dfip.control_plane.v1.WebhookService/DeleteWebhook": ADMIN,
    "dfip.control_plane.v1.WebhookService/RotateSecret": ADMIN,
    "dfip.control_plane.v1.WebhookService/SendTest": ADMIN,
    "dfip.control_plane.v1.WebhookService/ListDeliveries": ADMIN,
    "dfip.control_plane.v1.WebhookService/GetDelivery": ADMIN,
    "dfip.control_plane.v1.WebhookService/ReplayDelivery": ADMIN,
    "dfip.control_plane.v1.WorkerGatewayService/Connect": WORKER,
    "dfip.control_plane.v1.WorkerGatewayService/NamePeople": WORKER,
    "dfip.identity_index.v1.IdentityIndexService/AnalyzeFaces": CONTROL_PLANE,
    "dfip.identity_index.v1.IdentityIndexService/Search": CONTROL_PLANE | WORKER,
    "dfip.identity_index.v1.IdentityIndexService/Identify": WORKER,
    "dfip.identity_index.v1.IdentityIndexService/GetIndexStatus": OPERATOR,
    "dfip.vision_worker.v1.WorkerService/GetWorkerStatus": MANAGER,
    "dfip.vision_worker.v1.WorkerService/GetSnapshot": MANAGER,
    "dfip.vision_worker.v1.WorkerService/WatchFrames": MANAGER,
    "dfip.vision_worker.v1.WorkerService/TakeCamera": MANAGER,
    "dfip.vision_worker.v1.WorkerService/DropCamera": MANAGER,
    "dfip.vision_worker.v1.WorkerService/Drain": MANAGER,
}
LIMITED = {
    "dfip.camera_manager.v1.MediaService/GetSnapshot": VIEWER,
    "dfip.camera_manager.v1.MediaService/StreamLive": VIEWER,
    "dfip.control_plane.v1.ControlPlaneService/ListCameras": VIEWER,
    "dfip.control_plane.v1.ControlPlaneService/GetCamera": VIEWER,
    "dfip.control_plane.v1.ControlPlaneService/UpdateCamera": OPERATOR,
    "dfip.control_plane.v1.ControlPlaneService/SetCameraStatus": OPERATOR,
    "dfip.control_plane.v1.ControlPlaneService/ListCameraRuntimes": VIEWER,
    "dfip.control_plane.v1.ControlPlaneService/RetryCamera": OPERATOR,
    "dfip.control_plane.v1.EventService/StreamEvents": VIEWER,
    "dfip.control_plane.v1.EventService/WatchEvents": VIEWER,
    "dfip.control_plane.v1.SightingService/ListSightings": VIEWER,
    "dfip.control_plane.v1.SightingService/GetSighting": VIEWER,
    "dfip.control_plane.v1.SightingService/GetSightingImage": VIEWER,
    "dfip.control_plane.v1.SightingService/GetSightingContext": VIEWER,
    "dfip.control_plane.v1.SightingService/WatchSightings": VIEWER,
    "dfip.control_plane.v1.TelemetryService/QueryTelemetry": VIEWER,
    "dfip.control_plane.v1.TokenService/IssueMediaTicket": VIEWER,
}
"""What lets in a token that is limited to some cameras; ``test_camera_scope.py`` of the control
plane walks its own, and ``test_media.py`` of the camera manager the rest."""
METHODS: dict[str, Any] = {
    f"{binding.descriptor.full_name}/{method.name}": method
    for binding in SERVICES
    for method in binding.descriptor.methods
}

_STATUS_LOST = "Internal error from Core"


class Door:
    """A server with every service, and tokens of all kinds for it."""

    def __init__(self, authority: TestAuthority, address: str) -> None:
        self.authority = authority
        self._channel = grpc.aio.insecure_channel(address)

    async def close(self) -> None:
        await self._channel.close()

    def token(self, role: Any, **more: Any) -> str:
        place: dict[str, Any] = {"camera_id": "c", "epoch": 1} if role == "worker" else {}
        return self.authority.token(role, **(place | more))

    async def knock(self, name: str, *authorization: str) -> grpc.StatusCode:
        """Call an RPC with an empty request and these headers; return the answer's code."""
        # a write that races with a refusal makes grpc.aio forget the refusal: then knock again
        while True:
            call = self._call(name, [("authorization", value) for value in authorization])
            code: grpc.StatusCode = await call.code()
            if await call.details() != _STATUS_LOST:
                return code

    def _call(self, name: str, metadata: list[tuple[str, str]]) -> Any:
        method = METHODS[name]
        call: Any
        if method.client_streaming:
            call = self._channel.stream_stream(f"/{name}")(iter([b""]), metadata=metadata)
        elif method.server_streaming:
            call = self._channel.unary_stream(f"/{name}")(b"", metadata=metadata)
        else:
            call = self._channel.unary_unary(f"/{name}")(b"", metadata=metadata)
        return call

    def forged(self) -> dict[str, tuple[str, ...]]:
        """Return headers that nobody may get in with, whatever role they claim."""
        here_only = f"Bearer {self.token('worker', aud='dfip.control_plane')}"
        return forged_headers(self.authority) | {"control plane only": (here_only,)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    authority = TestAuthority(folder)
    clock = SystemClock()
    server = Server(
        room="everything",
        listen="127.0.0.1:0",
        bindings=SERVICES,
        verifier=TokenVerifier(authority.jwks_file, clock),
        clock=clock,
        reflection=True,
    )
    await server.start()
    door = Door(authority, server.address)
    yield door
    await door.close()
    await server.stop(0)


async def test_the_table_names_every_rpc() -> None:
    assert LET_IN.keys() == METHODS.keys()


@pytest.mark.parametrize("name", sorted(LET_IN))
async def test_exactly_these_roles_get_in(door: Door, name: str) -> None:
    let_in = set()
    for role in ROLES:
        code = await door.knock(name, f"Bearer {door.token(role)}")
        if code is not grpc.StatusCode.PERMISSION_DENIED:
            assert code is not grpc.StatusCode.UNAUTHENTICATED
            let_in.add(role)
    assert let_in == LET_IN[name]


@pytest.mark.parametrize("name", sorted(LET_IN))
async def test_a_token_for_some_cameras_gets_in_only_where_they_are_kept_to(
    door: Door, name: str
) -> None:
    let_in = set()
    for role in ("viewer", "operator"):
        code = await door.knock(name, f"Bearer {door.token(role, cameras=['c'])}")
        if code is not grpc.StatusCode.PERMISSION_DENIED:
            let_in.add(role)
    assert let_in == LIMITED.get(name, set()) - {"admin"}


@pytest.mark.parametrize("role", ["admin", "worker", "manager", "index", "control_plane"])
async def test_nobody_else_can_be_limited(door: Door, role: str) -> None:
    name = "dfip.control_plane.v1.ControlPlaneService/ListCameras"
    code = await door.knock(name, f"Bearer {door.token(role, cameras=['c'])}")
    assert code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("cameras", ["c", {"c": 1}, [1], None, 7])
async def test_a_limit_that_cannot_be_read_lets_nobody_in(door: Door, cameras: Any) -> None:
    name = "dfip.control_plane.v1.ControlPlaneService/ListCameras"
    code = await door.knock(name, f"Bearer {door.token('viewer', cameras=cameras)}")
    assert code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("name", sorted(LET_IN))
async def test_nobody_gets_in_with_a_forged_token(door: Door, name: str) -> None:
    codes = {kind: await door.knock(name, *headers) for kind, headers in door.forged().items()}
    wrong = {
        kind: code for kind, code in codes.items() if code is not grpc.StatusCode.UNAUTHENTICATED
    }
    assert wrong == {}


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
async def test_the_scheme_may_be_written_in_any_case(door: Door, scheme: str) -> None:
    name = "dfip.control_plane.v1.ControlPlaneService/CreateCamera"
    code = await door.knock(name, f"{scheme} {door.token('admin')}")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
