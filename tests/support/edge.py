"""A real Envoy before whatever servers a test runs, ended with the test."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import httpx

from deploy.envoy import EdgeSettings, envoy_command, write_edge

_START_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEdge:
    """Where the edge is."""

    host: str
    port: int
    config: Path
    pid: int

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def grpc_target(self) -> str:
        return f"{self.host}:{self.port}"

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """Return a REST client, with a token or without, past any proxy of the environment."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.base_url, headers=headers, trust_env=False)

    def channel(self) -> Any:
        """Return a gRPC channel, past any proxy of the environment."""
        return grpc.aio.insecure_channel(self.grpc_target, options=[("grpc.enable_http_proxy", 0)])


@contextlib.asynccontextmanager
async def running_edge(
    folder: Path,
    *,
    clusters: Mapping[str, str],
    services: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[RunningEdge]:
    """Run Envoy on a free loopback port until the block ends; its log stays in `envoy.log`."""
    host = "127.0.0.1"
    port = _free_port(host)
    settings = EdgeSettings(http_host=host, http_port=port, clusters=clusters, services=services)
    config = write_edge(folder, settings)
    with (folder / "envoy.log").open("wb") as log:
        # The tether ends Envoy with the test run, whatever ends that.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.supervisor.tether", str(os.getpid())),
            *envoy_command(config, concurrency=1),
            stdout=log,
            stderr=log,
            stdin=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_START_S):
                if not await _listening(process, host, port):
                    raise RuntimeError(f"Envoy ended: {(folder / 'envoy.log').read_text()}")
            yield RunningEdge(host=host, port=port, config=config, pid=process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _listening(process: asyncio.subprocess.Process, host: str, port: int) -> bool:
    """Wait for the port, or return false when the process ends before it listens."""
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.02)  # nothing else tells when another program listens
        else:
            writer.close()
            await writer.wait_closed()
            return True
    return False


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
