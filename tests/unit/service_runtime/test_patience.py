"""No call goes on for ever: not without an answer, and not without a first message."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2_grpc as gateway_grpc
from service_runtime import server as server_module
from service_runtime.authentication import TokenVerifier
from service_runtime.clients import MeshChannel, StaticToken, open_channel
from service_runtime.errors import DeadlineExceeded
from service_runtime.interceptors import patience
from service_runtime.interceptors.patience import FIRST_MESSAGE_S
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from tests.support.refusals import refused
from tests.support.tokens import TestAuthority
from tests.support.virtual_clock import VirtualClock

HEARTBEAT = gateway_pb2.ConnectRequest(
    heartbeat=gateway_pb2.WorkerHeartbeat(
        worker_status="running", health_status="healthy", failure_reason="none"
    )
)


class Gateway(gateway_grpc.WorkerGatewayServiceServicer):
    async def Connect(self, requests: AsyncIterator[Any], _: object) -> AsyncIterator[Any]:
        async for _request in requests:
            yield gateway_pb2.ConnectResponse()


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.authority = TestAuthority(folder, now=self.clock.now())
        self.server = Server(
            room="x",
            listen=f"unix:{folder}/s.sock",
            bindings=[
                Binding.of(gateway_pb2, gateway_grpc, Gateway()),
            ],
            verifier=TokenVerifier(self.authority.jwks_file, self.clock),
            clock=self.clock,
        )

    def channel(self, role: str, **place: Any) -> MeshChannel:
        token = self.authority.token(role, **place)
        return open_channel(self.server.address, token=StaticToken(Secret(token)))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.server.start()
    yield made
    await made.server.stop(0)


async def test_the_first_message_of_a_stream_must_come_soon(world: World) -> None:
    async with world.channel("worker", camera_id="c", epoch=1) as channel:
        call = gateway_grpc.WorkerGatewayServiceStub(channel).Connect()
        reading = asyncio.ensure_future(call.read())
        async with asyncio.timeout(5):
            while not reading.done():
                await world.clock.advance(FIRST_MESSAGE_S)
        with refused(grpc.StatusCode.DEADLINE_EXCEEDED, "FIRST_MESSAGE_LATE"):
            await reading


async def test_an_answer_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_S", 0.0)
    with pytest.raises(DeadlineExceeded) as given_up:
        async with patience.Patience(VirtualClock()).for_an_answer():
            await asyncio.Event().wait()
    assert given_up.value.reason == "ANSWER_LATE"


async def test_a_connection_is_renewed_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is open all along is ended; whoever opens it again has a new connection."""
    monkeypatch.setattr(server_module, "CONNECTION_AGE_MS", 20)
    monkeypatch.setattr(server_module, "CONNECTION_AGE_GRACE_MS", 20)
    world = World(tmp_path)
    await world.server.start()
    async with world.channel("worker", camera_id="c", epoch=1) as channel:
        for _ in range(2):
            call = gateway_grpc.WorkerGatewayServiceStub(channel).Connect()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await call.write(HEARTBEAT)
                while await call.read() is not grpc.aio.EOF:
                    pass
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    await world.server.stop(0)
