"""A real Envoy before whatever servers a test runs, ended with the test."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
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
        return httpx.AsyncClient(
            base_url=self.base_url, headers=headers, trust_env=False, timeout=30
        )

    def channel(self) -> Any:
        """Return a gRPC channel, past any proxy of the environment."""
        return grpc.aio.insecure_channel(self.grpc_target, options=[("grpc.enable_http_proxy", 0)])


@contextlib.asynccontextmanager
async def running_edge(
    folder: Path, *, clusters: Mapping[str, str], **settings: Any
) -> AsyncIterator[RunningEdge]:
    """Run Envoy on a free loopback port until the block ends; its log stays in `envoy.log`.

    It believes the keys in the folder's `jwks.json`, unless the settings of the edge name others.
    """
    host = "127.0.0.1"
    port = _free_port(host)
    values = {"jwks_file": folder / "jwks.json"} | settings
    config = write_edge(
        folder, EdgeSettings(http_host=host, http_port=port, clusters=clusters, **values)
    )
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
                edge = RunningEdge(host=host, port=port, config=config, pid=process.pid)
                if _has_keys(values["jwks_file"]):
                    await _knowing_keys(edge)
            yield edge
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


async def _knowing_keys(edge: RunningEdge) -> None:
    """Wait until the edge has read the keys: then a token of nobody is refused for what it is."""
    async with edge.client("e30.e30.e30") as stranger:
        # nothing else tells when another program has read a file
        while (await stranger.get("/")).status_code == httpx.codes.SERVICE_UNAVAILABLE:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _has_keys(jwks_file: Path) -> bool:
    return bool(json.loads(jwks_file.read_text())["keys"])


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
