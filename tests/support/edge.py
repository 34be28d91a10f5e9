"""A real Envoy before whatever servers a test runs, ended with the test."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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


@contextlib.asynccontextmanager
async def running_edge(folder: Path, *, clusters: Mapping[str, str]) -> AsyncIterator[RunningEdge]:
    """Run Envoy on a free loopback port until the block ends; its log stays in `envoy.log`."""
    host = "127.0.0.1"
    port = _free_port(host)
    config = write_edge(folder, EdgeSettings(http_host=host, http_port=port, clusters=clusters))
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
                await _listening(process, host, port, folder / "envoy.log")
            yield RunningEdge(host=host, port=port, config=config, pid=process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _listening(process: asyncio.subprocess.Process, host: str, port: int, log: Path) -> None:
    """Wait for the port; nothing else tells when another program listens."""
    while True:
        if process.returncode is not None:
            raise RuntimeError(f"Envoy ended with {process.returncode}: {log.read_text()}")
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            await writer.wait_closed()
            return


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
