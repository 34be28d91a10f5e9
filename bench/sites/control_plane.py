"""A control plane as a process of its own, an edge before it, and the tokens of its workers."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.envoy import EdgeSettings, envoy_command, write_edge
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from service_runtime.clients import FileToken, MeshChannel, open_channel

_ROOT = Path(__file__).resolve().parents[2]
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A camera, and the token that speaks for it."""

    camera_id: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneSite:
    """A running control plane."""

    folder: Path
    process: psutil.Process

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"unix:{self.folder}/s"

    def admin(self) -> MeshChannel:
        """Open a channel as the administrator."""
        return open_channel(self.target, token=FileToken(self.folder / "data" / "admin.token"))

    async def register(self, count: int) -> list[Worker]:
        """Register cameras, and take a token for the worker of each."""
        manager = open_channel(
            self.target, token=FileToken(self.folder / "tokens" / "manager.token")
        )
        admin = self.admin()
        workers: list[Worker] = []
        for number in range(count):
            created = await ControlPlaneServiceStub(admin).CreateCamera(
                pb.CreateCameraRequest(
                    name=f"camera {number}",
                    connection_string="rtsp://camera.example/",
                    desired_state="running",
                )
            )
            issued = await ControlPlaneServiceStub(manager).IssueWorkerToken(
                pb.IssueWorkerTokenRequest(camera_id=created.data.id)
            )
            workers.append(Worker(camera_id=created.data.id, token=issued.token))
        await admin.close()
        await manager.close()
        return workers

    @asynccontextmanager
    async def edge(self) -> AsyncIterator[tuple[str, int]]:
        """Run Envoy before it until the block ends; yield where it listens."""
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port = int(probe.getsockname()[1])
        settings = EdgeSettings(
            http_host=_HOST,
            http_port=port,
            clusters={"control_plane": self.target},
            jwks_file=self.folder / "jwks.json",
        )
        config = write_edge(self.folder / "edge", settings)
        process = await asyncio.create_subprocess_exec(
            *envoy_command(config), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await _listening(process, port)
            yield _HOST, port
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def running_control_plane(
    folder: Path, *, database_url: str | None
) -> AsyncIterator[ControlPlaneSite]:
    """Run a control plane on a fresh folder until the block ends; SQLite without an address."""
    environ = os.environ | {
        "DFIP_LISTEN": f"unix:{folder}/s",
        "DFIP_DATA_DIR": str(folder / "data"),
        "DFIP_TOKENS_DIR": str(folder / "tokens"),
        "DFIP_JWKS_FILE": str(folder / "jwks.json"),
        "DFIP_MEDIA_ROOT": str(folder / "media"),
        "DFIP_INDEX_TARGET": f"unix:{folder}/i",
        "DFIP_LOG_LEVEL": "error",
    }
    if database_url is not None:
        environ["DFIP_DATABASE_URL"] = database_url
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "control_plane"), env=environ, cwd=_ROOT
    )
    site = ControlPlaneSite(folder=folder, process=psutil.Process(process.pid))
    try:
        # its tokens are there before it serves
        channel = open_channel(site.target, token=None)
        await channel.channel_ready()
        await channel.close()
        yield site
    finally:
        process.terminate()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        try:
            reader, writer = await asyncio.open_connection(_HOST, port)
        except OSError:
            await asyncio.sleep(0.02)  # nothing else tells when another program listens
        else:
            # until Envoy has read the keys of tokens, it asks everybody to try again
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer e30.e30.e30\r\n\r\n")
            answer = await reader.readline()
            writer.close()
            if b" 503 " not in answer:
                return
            await asyncio.sleep(0.02)
    raise RuntimeError("Envoy did not start")
