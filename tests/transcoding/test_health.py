"""`/healthz` follows the services, and a service that comes back is reached again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.edge import RunningEdge, running_edge
from tests.support.tokens import TestAuthority
from tests.transcoding.rooms import ROOMS, Rooms


@pytest_asyncio.fixture
async def stopped_rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    rooms = Rooms(folder=tmp_path, authority=TestAuthority(tmp_path))
    yield rooms
    for room in list(rooms.servers):
        await rooms.stop(room)


@pytest_asyncio.fixture
async def lone_edge(stopped_rooms: Rooms) -> AsyncIterator[RunningEdge]:
    async with running_edge(stopped_rooms.folder, clusters=stopped_rooms.clusters) as edge:
        yield edge


@pytest_asyncio.fixture
async def caller(stopped_rooms: Rooms, lone_edge: RunningEdge) -> AsyncIterator[httpx.AsyncClient]:
    async with lone_edge.client(stopped_rooms.authority.token("viewer")) as client:
        yield client


async def until(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """Ask until the answer has this status: another process decides when."""
    async with asyncio.timeout(10):
        while (response := await client.get(path)).status_code != status:  # noqa: ASYNC110 no event
            await asyncio.sleep(0.05)  # nothing tells what another process has noticed
    return response


async def test_healthz_is_200_only_while_every_service_serves(
    stopped_rooms: Rooms, caller: httpx.AsyncClient
) -> None:
    response = await caller.get("/healthz")
    assert response.status_code == 503
    assert not [name for name in response.headers if name.startswith("x-envoy")]
    for room in ROOMS:
        assert (await caller.get("/healthz")).status_code == 503
        await stopped_rooms.start(room)
    response = await until(caller, "/healthz", 200)
    assert response.content == b""
    assert not [name for name in response.headers if name.startswith("x-envoy")]

    await stopped_rooms.servers["identity_index"].set_serving(serving=False)
    await until(caller, "/healthz", 503)
    await stopped_rooms.servers["identity_index"].set_serving(serving=True)
    await until(caller, "/healthz", 200)
    await stopped_rooms.stop("camera_manager")
    await until(caller, "/healthz", 503)


async def test_a_service_that_is_away_is_503_and_comes_back(
    stopped_rooms: Rooms, caller: httpx.AsyncClient, lone_edge: RunningEdge
) -> None:
    response = await caller.get("/cameras")
    assert response.status_code == 503
    assert response.json() == {
        "code": 14,
        "message": "The service is not reachable now; try again in a moment.",
        "details": [],
    }
    async with lone_edge.channel() as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE  # noqa: PT017 the other test would need the same
            assert error.details() == response.json()["message"]  # noqa: PT017
    for _ in range(2):
        await stopped_rooms.start("control_plane")
        assert (await until(caller, "/cameras", 200)).json() == []
        await stopped_rooms.stop("control_plane")


async def test_a_read_waits_for_a_service_that_is_just_restarting(
    stopped_rooms: Rooms, caller: httpx.AsyncClient
) -> None:
    reading = asyncio.create_task(until(caller, "/cameras", 200))
    await stopped_rooms.start("control_plane")
    assert (await reading).json() == []
