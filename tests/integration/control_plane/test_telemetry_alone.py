"""Telemetry as a process of its own, behind the same Envoy as the control plane."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from service_runtime.clients import FileToken, StaticToken, open_channel
from service_runtime.secret import Secret
from tests.integration.control_plane.conftest import RTSP
from tests.integration.control_plane.test_process import ROOT, environment, started
from tests.support.edge import running_edge
from tests.support.postgres import PostgresSite
from tests.support.telemetry import TelemetryStream, sample, stored_seconds

SERVICE = "dfip.control_plane.v1.TelemetryService"


@pytest.fixture
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    short = tmp_path_factory.mktemp("s")
    if len(str(short)) > 90:
        pytest.skip("the temporary folder's name is too long for a socket")
    return short


@asynccontextmanager
async def telemetry(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    kept = ("PYTHONPATH", "DFIP_LISTEN", "DFIP_JWKS_FILE", "DFIP_DATABASE_URL")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "control_plane", "--only", "telemetry"),
        env=dict(os.environ) | {name: environ[name] for name in kept if name in environ},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until_healthy(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(20):
        # the edge asks for the keys of tokens now and then, so they may come after the services
        paths = ("/healthz", "/cameras")
        while {(await client.get(path)).status_code for path in paths} != {200}:  # noqa: ASYNC110 - Envoy tells nobody
            await asyncio.sleep(0.02)


async def listening(target: str) -> None:
    async with open_channel(target, token=None) as probe:
        await probe.channel_ready()


async def test_one_route_leads_to_a_process_of_its_own(
    tmp_path: Path, sockets: Path, postgres: PostgresSite
) -> None:
    url = postgres.url(await postgres.fresh()).reveal()
    environ = environment(tmp_path, sockets / "c") | {"DFIP_DATABASE_URL": url}
    control_plane, alone = f"unix:{sockets}/c", f"unix:{sockets}/t"
    now = datetime.now(UTC).replace(microsecond=0)
    async with started(environ) as brain:
        await listening(control_plane)
        async with telemetry(environ | {"DFIP_LISTEN": alone}) as apart:
            await listening(alone)
            manager = FileToken(tmp_path / "tokens" / "manager.token")
            admin = (tmp_path / "data" / "admin.token").read_text().strip()
            async with (
                running_edge(
                    tmp_path / "edge",
                    clusters={"control_plane": control_plane},
                    services={SERVICE: alone},
                    jwks_file=tmp_path / "jwks.json",
                ) as edge,
                edge.client(admin) as rest,
                open_channel(control_plane, token=manager) as direct,
            ):
                await until_healthy(rest)
                camera = {"name": "Door", "connection_string": RTSP, "desired_state": "running"}
                camera_id = (await rest.post("/cameras", json=camera)).json()["data"]["id"]
                issued = await ControlPlaneServiceStub(direct).IssueWorkerToken(
                    pb.IssueWorkerTokenRequest(camera_id=camera_id)
                )
                token = StaticToken(Secret(issued.token))
                # both take it, and each batch counts once
                batches = {number: [sample(now - timedelta(seconds=number))] for number in (1, 2)}
                through = open_channel(edge.grpc_target, token=token)
                past = open_channel(control_plane, token=token)
                async with through, past:
                    ours = TelemetryStream(channel=through)
                    theirs = TelemetryStream(channel=past, session_id=ours.session_id)
                    for number, samples in batches.items():
                        await ours.send_as(number, samples)
                        await theirs.send_as(number, samples)
                runtimes = await rest.get("/cameras/runtime")
                assert runtimes.json()["data"][0]["runtime"]["last_contact"]
                # from here on there is nobody but the telemetry process
                brain.kill()
                await brain.wait()
                body = {"timestamp": now.isoformat(), "occupancy": 5, "confidence": 0.95}
                async with edge.client(issued.token) as worker:
                    answer = await worker.post(f"/telemetry/{camera_id}", json=body)
                assert answer.status_code == 200
                assert answer.json() == {"success": True, "message": "Telemetry received"}
                viewer = open_channel(edge.grpc_target, token=StaticToken(Secret(admin)))
                async with viewer:
                    stored = await stored_seconds(viewer, camera_id, now - timedelta(seconds=10))
                assert stored == [8, 9, 10]
                assert (await rest.get("/cameras")).status_code == 503
                apart.terminate()
                assert await apart.wait() == 0


async def test_without_postgres_it_says_so(tmp_path: Path, sockets: Path) -> None:
    environ = environment(tmp_path, sockets / "t")
    async with telemetry(environ) as process:
        _, said = await process.communicate()
    assert process.returncode == 2
    assert b"telemetry runs as a process of its own on PostgreSQL alone" in said
    assert b"Traceback" not in said


async def test_it_leaves_migrating_to_the_control_plane(
    tmp_path: Path, sockets: Path, postgres: PostgresSite
) -> None:
    name = await postgres.fresh(migrated=False)
    environ = environment(tmp_path, sockets / "t")
    async with telemetry(environ | {"DFIP_DATABASE_URL": postgres.url(name).reveal()}) as process:
        _, said = await process.communicate()
    await postgres.drop(name)
    assert process.returncode == 2
    assert b"start the control plane of this version first" in said
    assert b"Traceback" not in said
