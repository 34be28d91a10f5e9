"""The edge and its services over TLS: real ends, good certificates and bad ones, and a roll."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dfip.camera_manager.v1 import manager_service_pb2, manager_service_pb2_grpc
from dfip.control_plane.v1 import (
    alert_service_pb2,
    alert_service_pb2_grpc,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
    telemetry_service_pb2,
    telemetry_service_pb2_grpc,
)
from dfip.identity_index.v1 import identity_index_service_pb2, identity_index_service_pb2_grpc
from service_runtime.authentication import TokenVerifier
from service_runtime.clock import SystemClock
from service_runtime.server import Binding, Server
from service_runtime.transport import Transport
from tests.support.certificates import TestCertificates
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.edge import RunningEdge, running_edge

ALERTS = "dfip.control_plane.v1.AlertService"
SIGHTINGS = "dfip.control_plane.v1.SightingService"
TELEMETRY = "dfip.control_plane.v1.TelemetryService"
UNREACHABLE = {
    "code": 14,
    "message": "The service is not reachable now; try again in a moment.",
    "details": [],
}


class Index(identity_index_service_pb2_grpc.IdentityIndexServiceServicer):
    async def GetIndexStatus(
        self, _request: object, _context: object
    ) -> identity_index_service_pb2.GetIndexStatusResponse:
        return identity_index_service_pb2.GetIndexStatusResponse()


class World:
    """A site whose services listen on ports: a real control plane, and others that do nothing."""

    def __init__(
        self, folder: Path, site: RunningControlPlane, certificates: TestCertificates
    ) -> None:
        self.folder = folder
        self.site = site
        self.certificates = certificates
        self.stack = AsyncExitStack()

    async def service(
        self,
        messages: ModuleType,
        stubs: ModuleType,
        transport: Transport,
        *,
        servicer: object = None,
        peers: tuple[str, ...] = ("edge",),
    ) -> str:
        """Run a service and return its target; without a servicer, to be reached is a 500."""
        (name,) = messages.DESCRIPTOR.services_by_name
        servicer = servicer or getattr(stubs, f"{name}Servicer")()
        binding = Binding.of(messages, stubs, servicer)
        clock = SystemClock()
        server = Server(
            room="x",
            listen="127.0.0.1:0",
            bindings=[binding],
            verifier=TokenVerifier(self.site.settings.jwks_file, clock),
            clock=clock,
            transport=transport,
            peers=peers,
        )
        await server.start()
        self.stack.push_async_callback(server.stop, 0)
        await server.set_serving(serving=True)
        return server.address

    @asynccontextmanager
    async def edge(self, **settings: Any) -> AsyncIterator[tuple[RunningEdge, httpx.AsyncClient]]:
        clusters = {"control_plane": self.site.target} | settings.pop("clusters", {})
        tls = self.certificates.files("edge")
        async with (
            running_edge(self.folder, clusters=clusters, tls=tls, **settings) as edge,
            edge.client(self.site.token("admin").reveal()) as client,
        ):
            yield edge, client


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    certificates = TestCertificates(tmp_path / "certs")
    async with running_control_plane(
        tmp_path, listen="127.0.0.1:0", **certificates.settings("control_plane")
    ) as site:
        made = World(tmp_path, site, certificates)
        async with made.stack:
            yield made


async def until(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """Ask until the answer has this status: another process decides when."""
    async with asyncio.timeout(10):
        while (response := await client.get(path)).status_code != status:  # noqa: ASYNC110 no event
            await asyncio.sleep(0.05)  # nothing tells what another process has noticed
    return response


async def test_good_services_are_reached_and_no_others(world: World, tmp_path: Path) -> None:
    certificates = world.certificates
    foreign = TestCertificates(tmp_path / "foreign")
    certificates.expire("identity_index")
    clusters = {
        # its certificate has ended
        "identity_index": await world.service(
            identity_index_service_pb2,
            identity_index_service_pb2_grpc,
            certificates.transport("identity_index"),
            servicer=Index(),
        ),
        # it has the certificate of another service of the site
        "camera_manager": await world.service(
            manager_service_pb2,
            manager_service_pb2_grpc,
            certificates.transport("vision_worker"),
        ),
    }
    services = {
        # somebody else's authority signed for the same name
        ALERTS: await world.service(
            alert_service_pb2,
            alert_service_pb2_grpc,
            foreign.transport("control_plane"),
        ),
        # it speaks plainly
        SIGHTINGS: await world.service(
            sighting_service_pb2,
            sighting_service_pb2_grpc,
            Transport(),
        ),
        # it takes no calls of the edge
        TELEMETRY: await world.service(
            telemetry_service_pb2,
            telemetry_service_pb2_grpc,
            certificates.transport("control_plane"),
            peers=("vision_worker",),
        ),
    }
    async with world.edge(clusters=clusters, services=services) as (edge, client):
        cameras = await client.get("/cameras")
        assert (cameras.status_code, cameras.json()) == (200, [])
        async with edge.channel() as channel:
            health = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest()
            )
            assert health.status == health_pb2.HealthCheckResponse.SERVING
        assert (await client.get("/healthz")).status_code == 503

        async def refuses(path: str) -> None:
            refused = await client.get(path)
            assert (path, refused.status_code, refused.json()) == (path, 503, UNREACHABLE)
            assert not [name for name in refused.headers if "tls" in name or "envoy" in name]

        async with asyncio.TaskGroup() as at_once:  # each is tried again for a while
            for path in (
                "/api/identity-index/status", "/api/camera-manager/status", "/alerts", "/sightings"
            ):  # fmt: skip
                at_once.create_task(refuses(path))
        told = await client.get(f"/telemetry/{'0' * 8}-0000-4000-8000-{'0' * 12}")
        assert (told.status_code, told.json()["details"][0]["reason"]) == (403, "PEER_NOT_ALLOWED")

        certificates.renew("identity_index")
        await until(client, "/api/identity-index/status", 200)


async def test_the_edge_takes_new_certificates_over_while_it_runs(
    world: World, tmp_path: Path
) -> None:
    foreign = TestCertificates(tmp_path / "foreign")
    world.certificates.expire("edge")
    files = world.certificates.files("edge")
    files.ca_file.write_bytes(foreign.files("edge").ca_file.read_bytes())
    async with world.edge() as (edge, client):
        assert (await client.get("/cameras")).json() == UNREACHABLE
        world.certificates.renew("edge")
        assert (await until(client, "/cameras", 200)).json() == []
        await until(client, "/healthz", 200)
        log = (edge.config.parent / "envoy.log").read_text()
        assert "PRIVATE" not in log
