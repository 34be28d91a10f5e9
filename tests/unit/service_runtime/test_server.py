"""The server and its interceptor chain, called through real channels."""

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from dfip.camera_manager.v1 import manager_service_pb2, manager_service_pb2_grpc
from dfip.control_plane.v1 import (
    camera_pb2,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    worker_gateway_service_pb2,
    worker_gateway_service_pb2_grpc,
)
from service_runtime.authentication import TokenVerifier, current_caller, role_name
from service_runtime.clients import MeshChannel, StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.errors import FieldViolation, NotFound
from service_runtime.method_policy import MethodPolicyMissing
from service_runtime.secret import Secret
from service_runtime.server import Binding, ListenError, Server
from tests.support.tokens import TestAuthority

SECRET_TEXT = "rtsp://admin:hunter2@10.0.0.1/stream"


class Cameras(control_plane_service_pb2_grpc.ControlPlaneServiceServicer):
    async def GetCamera(
        self, request: control_plane_service_pb2.GetCameraRequest, _context: object
    ) -> control_plane_service_pb2.GetCameraResponse:
        if request.camera_id == "missing":
            raise NotFound(
                "CAMERA_NOT_FOUND",
                "No camera has this id.",
                violations=[FieldViolation(field="camera_id", description="unknown")],
                camera_id="missing",
            )
        if request.camera_id == "crash":
            raise RuntimeError(f"cannot open {SECRET_TEXT}")
        return control_plane_service_pb2.GetCameraResponse(message=current_caller().subject)

    async def ListCameras(
        self, _request: object, _context: object
    ) -> AsyncIterator[camera_pb2.CameraSummary]:
        for name in ("a", "b"):
            yield camera_pb2.CameraSummary(name=name)
        raise RuntimeError(SECRET_TEXT)


class Gateway(worker_gateway_service_pb2_grpc.WorkerGatewayServiceServicer):
    async def Connect(
        self, requests: AsyncIterator[Any], _context: object
    ) -> AsyncIterator[worker_gateway_service_pb2.ConnectResponse]:
        async for request in requests:
            sequence = request.sightings.sequence
            acknowledgement = worker_gateway_service_pb2.Acknowledgement(sequence=sequence)
            yield worker_gateway_service_pb2.ConnectResponse(acknowledgement=acknowledgement)


def bindings() -> list[Binding]:
    return [
        Binding(
            descriptor=control_plane_service_pb2.DESCRIPTOR.services_by_name["ControlPlaneService"],
            add=control_plane_service_pb2_grpc.add_ControlPlaneServiceServicer_to_server,
            servicer=Cameras(),
        ),
        Binding(
            descriptor=worker_gateway_service_pb2.DESCRIPTOR.services_by_name[
                "WorkerGatewayService"
            ],
            add=worker_gateway_service_pb2_grpc.add_WorkerGatewayServiceServicer_to_server,
            servicer=Gateway(),
        ),
    ]


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


@pytest.fixture
async def server(tmp_path: Path, authority: TestAuthority) -> AsyncIterator[Server]:
    clock = SystemClock()
    running = Server(
        room="control_plane",
        listen=f"unix:{tmp_path}/s.sock",
        bindings=bindings(),
        verifier=TokenVerifier(authority.jwks_file, clock),
        clock=clock,
        reflection=True,
        reflected=["dfip.identity_index.v1.IdentityIndexService"],
        max_concurrent_rpcs=50,
    )
    await running.start()
    yield running
    await running.stop(0)


def channel_for(server: Server, token: str | None) -> MeshChannel:
    return open_channel(server.address, token=StaticToken(Secret(token)) if token else None)


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(
        SimpleNamespace(
            trailing_metadata=error.trailing_metadata, code=error.code, details=error.details
        )
    )
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
    return info


async def get_camera(channel: MeshChannel, camera_id: str) -> Any:
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
    return await stub.GetCamera(control_plane_service_pb2.GetCameraRequest(camera_id=camera_id))


async def test_a_caller_with_the_role_gets_its_answer(
    server: Server, authority: TestAuthority
) -> None:
    async with channel_for(server, authority.token("viewer", sub="vera")) as channel:
        assert (await get_camera(channel, "x")).message == "vera"


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        (None, "UNAUTHENTICATED", "TOKEN_MISSING"),
        ("garbage", "UNAUTHENTICATED", "TOKEN_INVALID"),
        ({"lifetime_s": -60}, "UNAUTHENTICATED", "TOKEN_EXPIRED"),
        ({"iss": "other"}, "UNAUTHENTICATED", "TOKEN_INVALID"),
        ({"aud": "other"}, "UNAUTHENTICATED", "TOKEN_INVALID"),
        ({"headers": {"kid": "other"}}, "UNAUTHENTICATED", "TOKEN_INVALID"),
        ({"headers": {"crit": ["x"], "x": 1}}, "UNAUTHENTICATED", "TOKEN_INVALID"),
        ({"role": "emperor"}, "UNAUTHENTICATED", "TOKEN_INVALID"),
        ({"role": "unspecified"}, "UNAUTHENTICATED", "TOKEN_INVALID"),
        ({"role": "worker", "camera_id": "c", "epoch": 1}, "PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
        ({"role": "manager"}, "PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
    ],
)
async def test_everybody_else_is_refused(
    server: Server, authority: TestAuthority, token: Any, code: str, reason: str
) -> None:
    text = authority.token(**token) if isinstance(token, dict) else token
    async with channel_for(server, text) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get_camera(channel, "x")
    assert caught.value.code().name == code
    assert error_info(caught.value).reason == reason


async def test_a_token_of_another_site_is_refused(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with channel_for(server, TestAuthority(other).token()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get_camera(channel, "x")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_second_authorization_header_voids_the_first(
    server: Server, authority: TestAuthority
) -> None:
    async with channel_for(server, authority.token()) as channel:
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetCamera(
                control_plane_service_pb2.GetCameraRequest(camera_id="x"),
                metadata=[("authorization", f"Bearer {authority.token('viewer')}")],
            )
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_refusal_keeps_code_reason_metadata_and_violations(
    server: Server, authority: TestAuthority
) -> None:
    async with channel_for(server, authority.token()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get_camera(channel, "missing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "No camera has this id."
    info = error_info(caught.value)
    assert (info.reason, info.domain) == ("CAMERA_NOT_FOUND", "dfip.control_plane")
    assert dict(info.metadata) == {"camera_id": "missing"}


async def test_no_exception_text_leaves_the_service(
    server: Server, authority: TestAuthority, capsys: pytest.CaptureFixture[str]
) -> None:
    async with channel_for(server, authority.token()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as unary:
            await get_camera(channel, "crash")
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as stream:
            async for _ in stub.ListCameras(control_plane_service_pb2.ListCamerasRequest()):
                pass
    for error in (unary.value, stream.value):
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "hunter2" not in f"{error.details()}{error.trailing_metadata()}"
    output = capsys.readouterr()
    assert "hunter2" not in output.out + output.err


async def test_requests_are_held_against_the_rules_of_the_contract(
    server: Server, authority: TestAuthority
) -> None:
    async with channel_for(server, authority.token()) as channel:
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListCameras(
                control_plane_service_pb2.ListCamerasRequest(page_size=5000)
            ).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "page_size" in caught.value.details()


async def test_each_message_of_a_stream_is_held_against_the_rules(
    server: Server, authority: TestAuthority
) -> None:
    async with channel_for(server, authority.token("worker", camera_id="c", epoch=1)) as channel:
        call = worker_gateway_service_pb2_grpc.WorkerGatewayServiceStub(channel).Connect()
        heartbeat = worker_gateway_service_pb2.WorkerHeartbeat(
            worker_status="running", health_status="healthy", failure_reason="none"
        )
        await call.write(worker_gateway_service_pb2.ConnectRequest(heartbeat=heartbeat))
        assert (await call.read()).acknowledgement.sequence == 0
        await call.write(worker_gateway_service_pb2.ConnectRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await call.read() is not grpc.aio.EOF:
                pass
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


UNREADABLE = b"\x0a\x02\xff\xfe"  # field 1, a text that is not UTF-8


async def test_bytes_that_are_no_message_are_the_callers_mistake(
    server: Server, authority: TestAuthority
) -> None:
    service = "/dfip.control_plane.v1"
    metadata = [("authorization", f"Bearer {authority.token('admin')}")]
    worker = [("authorization", f"Bearer {authority.token('worker', camera_id='c', epoch=1)}")]
    async with grpc.aio.insecure_channel(server.address) as channel:
        unary = channel.unary_unary(f"{service}.ControlPlaneService/GetCamera")
        stream = channel.stream_stream(f"{service}.WorkerGatewayService/Connect")
        calls: list[Awaitable[Any]] = [
            unary(UNREADABLE, metadata=metadata),
            stream(iter([UNREADABLE]), metadata=worker).read(),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert error_info(caught.value).reason == "REQUEST_UNREADABLE"
            assert "DecodeError" not in str(caught.value.details())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(UNREADABLE)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_compressed_request_is_not_unpacked(
    server: Server, authority: TestAuthority
) -> None:
    metadata = [("authorization", f"Bearer {authority.token('admin')}")]
    packed = grpc.Compression.Gzip
    async with grpc.aio.insecure_channel(server.address, compression=packed) as channel:
        stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
        request = control_plane_service_pb2.GetCameraRequest(camera_id="x" * 1000)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetCamera(request, metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_nobody_takes_every_call_there_is(server: Server, authority: TestAuthority) -> None:
    """The server of this test takes 50 calls at once, 30 of them from people or from one worker."""
    worker = authority.token("worker", camera_id="c", epoch=1)
    async with channel_for(server, worker) as channel:
        gateway = worker_gateway_service_pb2_grpc.WorkerGatewayServiceStub(channel)
        batch = worker_gateway_service_pb2.ConnectRequest(
            heartbeat={
                "worker_status": "running",
                "health_status": "healthy",
                "failure_reason": "x",
            }
        )
        streams = [gateway.Connect() for _ in range(30)]
        for stream in streams:
            await stream.write(batch)
            await stream.read()
        one_more = gateway.Connect()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await one_more.read()
        assert error_info(caught.value).reason == "TOO_MANY_CALLS"
        async with channel_for(server, authority.token("viewer", sub="vera")) as others:
            assert (await get_camera(others, "x")).message == "vera"
        for stream in streams:
            stream.cancel()


async def test_health_is_open_and_says_when_the_service_serves(server: Server) -> None:
    async with channel_for(server, None) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.set_serving(serving=True)
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING


async def list_services(channel: MeshChannel) -> list[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([request])):
        return [service.name for service in answer.list_services_response.service]
    return []


async def test_reflection_wants_a_token_and_lists_every_service(
    server: Server, authority: TestAuthority
) -> None:
    async with channel_for(server, None) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await list_services(channel)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    async with channel_for(server, authority.token("viewer")) as channel:
        names = await list_services(channel)
    assert "dfip.control_plane.v1.ControlPlaneService" in names
    assert "dfip.identity_index.v1.IdentityIndexService" in names


async def test_a_contract_without_a_policy_stops_the_start(
    tmp_path: Path, authority: TestAuthority
) -> None:
    clock = SystemClock()
    server = Server(
        room="x",
        listen=f"unix:{tmp_path}/x.sock",
        bindings=[
            Binding(
                descriptor=health_pb2.DESCRIPTOR.services_by_name["Health"],
                add=health_pb2_grpc.add_HealthServicer_to_server,
                servicer=object(),
            )
        ],
        verifier=TokenVerifier(authority.jwks_file, clock),
        clock=clock,
    )
    with pytest.raises(MethodPolicyMissing, match=r"grpc\.health\.v1\.Health\.Check"):
        await server.start()


async def test_a_taken_port_is_said_so(authority: TestAuthority) -> None:
    clock = SystemClock()
    verifier = TokenVerifier(authority.jwks_file, clock)

    def make(listen: str) -> Server:
        return Server(room="x", listen=listen, bindings=[], verifier=verifier, clock=clock)

    first = make("127.0.0.1:0")
    await first.start()
    with pytest.raises(ListenError, match="cannot listen on 127"):
        await make(first.address).start()
    await first.stop(0)


def test_the_manager_contract_lets_operators_and_admins_in() -> None:
    from service_runtime.method_policy import read_rules  # noqa: PLC0415 only this test reads rules

    rules = read_rules([manager_service_pb2.DESCRIPTOR.services_by_name["ManagerService"]])
    rule = rules["/dfip.camera_manager.v1.ManagerService/GetManagerStatus"]
    assert {role_name(role) for role in rule.admitted} == {"operator", "admin"}  # type: ignore[arg-type]  # roles are ints on the wire
    assert manager_service_pb2_grpc.ManagerServiceStub is not None
