"""gRPC and gRPC-Web on the same port, untouched by what REST needs."""

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
)
from tests.support.edge import RunningEdge
from tests.transcoding.rooms import Rooms

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICE = "/dfip.control_plane.v1.ControlPlaneService"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(edge: RunningEdge) -> AsyncIterator[Any]:
    async with edge.channel() as opened:
        yield opened


@pytest.fixture
def bearer(rooms: Rooms) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {rooms.authority.token('admin')}"),)


async def test_unary_calls_pass(channel: Any, bearer: Any) -> None:
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
    call = stub.CreateCamera(
        control_plane_service_pb2.CreateCameraRequest(name="g", connection_string="rtsp://h/s"),
        metadata=bearer,
    )
    assert (await call).data.name == "g"
    # What a service says of itself stays with gRPC callers.
    assert dict(await call.initial_metadata())["x-replica"] == "control-plane-0"
    assert [c.name async for c in stub.ListCameras(
        control_plane_service_pb2.ListCamerasRequest(), metadata=bearer)] == ["g"]  # fmt: skip


async def test_rich_errors_pass(channel: Any, bearer: Any) -> None:
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetCamera(
            control_plane_service_pb2.GetCameraRequest(camera_id="x"), metadata=bearer
        )
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "CAMERA_NOT_FOUND"


async def test_server_streams_pass_one_by_one(channel: Any, bearer: Any, rooms: Rooms) -> None:
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    call = stub.WatchEvents(event_service_pb2.WatchEventsRequest(), metadata=bearer)
    for token in ("t1", "t2"):
        rooms.events.queue.put_nowait(token)
        assert (await call.read()).resume_token == token
    call.cancel()
    async with asyncio.timeout(5):
        await rooms.events.hung_up.wait()


async def test_reflection_and_health_are_the_control_planes(channel: Any, bearer: Any) -> None:
    health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([ask]), metadata=bearer
    )
    answer = await call.read()
    names = {service.name for service in answer.list_services_response.service}
    assert "dfip.control_plane.v1.ControlPlaneService" in names


async def test_nobody_watches_health_from_outside(channel: Any, bearer: Any) -> None:
    """A service asks for no token there, and the call never ends: enough of them take them all."""
    request = health_pb2.HealthCheckRequest()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health_pb2_grpc.HealthStub(channel).Watch(request, metadata=bearer).read()
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("path", [f"{SERVICE}/Nope", "/dfip.nobody.v1.Service/Call", "/cameras"])
async def test_an_unknown_rpc_is_unimplemented(channel: Any, bearer: Any, path: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(path)(b"", metadata=bearer)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "{" not in (caught.value.details() or "")


async def test_grpc_web_gets_its_trailers_in_the_body(client: httpx.AsyncClient) -> None:
    message = control_plane_service_pb2.ListCameraRuntimesRequest().SerializeToString()
    response = await client.post(
        f"{SERVICE}/ListCameraRuntimes",
        content=struct.pack(">BI", 0, len(message)) + message,
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/grpc-web+proto"
    data, trailers = frames(response.content)
    answer = control_plane_service_pb2.ListCameraRuntimesResponse.FromString(data)
    assert answer.message == "Cameras with runtime status retrieved successfully"
    assert b"grpc-status:0" in trailers


def frames(body: bytes) -> tuple[bytes, bytes]:
    """Split a gRPC-Web body into its message and its trailers."""
    found: dict[int, bytes] = {}
    while body:
        kind, length = struct.unpack_from(">BI", body)
        found[kind] = body[5 : 5 + length]
        body = body[5 + length :]
    return found[0], found[0x80]
