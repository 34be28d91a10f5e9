"""How much telemetry becomes durable: samples a second over ``StreamTelemetry``, from many cameras.

    python -m bench.ingest [--cameras N] [--batch N] [--window N] [--seconds S]

Prints one JSON document. A real control plane runs as a process of its own on a fresh SQLite
database (WAL, ``synchronous=FULL``); every camera has a worker's token and a stream, and keeps
``--window`` batches on their way. A sample counts when its acknowledgement has come, which is after
its commit. At the end all samples are read back: ``lost`` and ``double`` must be 0. The simulated
cameras share the machine with the service and take their part of it (``client_cpu_share``). Nothing
is asserted; the figures do not carry over to other machines.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import uvloop
from google.protobuf.timestamp_pb2 import Timestamp

from dfip.control_plane.v1 import control_plane_service_pb2, telemetry_service_pb2
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.telemetry_pb2 import TelemetrySample
from dfip.control_plane.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from service_runtime.clients import FileToken, MeshChannel, StaticToken, open_channel
from service_runtime.secret import Secret

_ROOT = Path(__file__).resolve().parents[1]
_BUCKET_S = 60
_AGE_S = 4 * 24 * 3600


@dataclass(slots=True, kw_only=True)
class Camera:
    """A simulated camera, and what was acknowledged to it."""

    camera_id: str
    channel: MeshChannel
    start_s: int
    acknowledged: int = 0
    latencies_s: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--cameras", type=int, default=50, help="simulated cameras (default 50)")
    parser.add_argument("--batch", type=int, default=100, help="samples a batch (default 100)")
    parser.add_argument("--window", type=int, default=2, help="batches on their way (default 2)")
    parser.add_argument("--seconds", type=float, default=10, help="time to measure (default 10)")
    asked = parser.parse_args()
    print(json.dumps(uvloop.run(measure(asked)), indent=2))


async def measure(asked: argparse.Namespace) -> dict[str, object]:
    """Run the service and the cameras, and return the document."""
    with tempfile.TemporaryDirectory(prefix="dfip-") as name:
        folder = Path(name)
        async with running_service(folder) as process, connected(folder, "data/admin.token") as a:
            cameras = await register(folder, a, asked.cameras)
            before = process.memory_info().rss
            service_cpu, client_cpu = cpu_s(process), cpu_s(psutil.Process())
            started = time.perf_counter()
            until = started + asked.seconds
            await asyncio.gather(
                *(send(camera, asked.batch, asked.window, until) for camera in cameras)
            )
            took = time.perf_counter() - started
            service_cpu = cpu_s(process) - service_cpu
            client_cpu = cpu_s(psutil.Process()) - client_cpu
            acknowledged = sum(camera.acknowledged for camera in cameras)
            lost, double = await compare(a, cameras)
            for camera in cameras:
                await camera.channel.close()
            latencies = np.array([s for camera in cameras for s in camera.latencies_s]) * 1e3
            p50, p99 = np.percentile(latencies, [50, 99])
            return {
                "benchmark": "ingest",
                "database": "sqlite, WAL, synchronous=FULL",
                "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
                "cameras": asked.cameras,
                "samples_a_batch": asked.batch,
                "batches_on_their_way": asked.window,
                "seconds": round(took, 2),
                "samples_durable": acknowledged,
                "samples_per_s": round(acknowledged / took),
                "acknowledgement_ms": {"p50": round(float(p50), 2), "p99": round(float(p99), 2)},
                "lost": lost,
                "double": double,
                "service_cpu_share": round(service_cpu / took, 2),
                "client_cpu_share": round(client_cpu / took, 2),
                "service_memory_mb": {
                    "before": round(before / 2**20, 1),
                    "after": round(process.memory_info().rss / 2**20, 1),
                },
                "database_bytes_a_sample": round(
                    sum(file.stat().st_size for file in (folder / "data").glob("dfip.db*"))
                    / max(acknowledged, 1),
                    1,
                ),
            }


@asynccontextmanager
async def running_service(folder: Path) -> AsyncIterator[psutil.Process]:
    """Run a control plane on a fresh database until the block ends."""
    environ = os.environ | {
        "DFIP_LISTEN": f"unix:{folder}/s",
        "DFIP_DATA_DIR": str(folder / "data"),
        "DFIP_TOKENS_DIR": str(folder / "tokens"),
        "DFIP_JWKS_FILE": str(folder / "jwks.json"),
        "DFIP_MEDIA_ROOT": str(folder / "media"),
        "DFIP_INDEX_TARGET": f"unix:{folder}/i",
        "DFIP_LOG_LEVEL": "error",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "control_plane"), env=environ, cwd=_ROOT
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def connected(folder: Path, token_file: str) -> AsyncIterator[MeshChannel]:
    """Connect with a token that the service writes before it serves."""
    channel = open_channel(f"unix:{folder}/s", token=FileToken(folder / token_file))
    await channel.channel_ready()
    try:
        yield channel
    finally:
        await channel.close()


async def register(folder: Path, admin: MeshChannel, count: int) -> list[Camera]:
    """Register cameras and open a channel as the worker of each."""
    cameras: list[Camera] = []
    start_s = int(time.time()) // _BUCKET_S * _BUCKET_S - _AGE_S
    async with connected(folder, "tokens/manager.token") as manager:
        for number in range(count):
            created = await ControlPlaneServiceStub(admin).CreateCamera(
                control_plane_service_pb2.CreateCameraRequest(
                    name=f"camera {number}",
                    connection_string="rtsp://camera.example/",
                    desired_state="running",
                )
            )
            issued = await ControlPlaneServiceStub(manager).IssueWorkerToken(
                control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=created.data.id)
            )
            channel = open_channel(f"unix:{folder}/s", token=StaticToken(Secret(issued.token)))
            await channel.channel_ready()
            cameras.append(Camera(camera_id=created.data.id, channel=channel, start_s=start_s))
    return cameras


async def send(camera: Camera, size: int, window: int, until: float) -> None:
    """Send batches until the time is up, then wait for what is on its way."""
    call = TelemetryServiceStub(camera.channel).StreamTelemetry()
    session_id = str(uuid.uuid4())
    room = asyncio.Semaphore(window)
    sent_at: dict[int, float] = {}

    async def receive() -> None:
        async for answer in call:
            camera.latencies_s.append(time.perf_counter() - sent_at.pop(answer.sequence))
            camera.acknowledged += size - len(answer.rejected)
            room.release()

    receiving = asyncio.create_task(receive())
    sequence = 0
    while time.perf_counter() < until:
        await room.acquire()
        sequence += 1
        samples = batch(camera.start_s, (sequence - 1) * size, size)
        sent_at[sequence] = time.perf_counter()
        await call.write(
            telemetry_service_pb2.StreamTelemetryRequest(
                session_id=session_id, sequence=sequence, samples=samples
            )
        )
    await call.done_writing()
    await receiving


def batch(start_s: int, first: int, size: int) -> list[TelemetrySample]:
    """Return samples of 10 a second, from the sample ``first`` on."""
    return [
        TelemetrySample(
            timestamp=Timestamp(seconds=start_s + at // 10, nanos=at % 10 * 100_000_000),
            occupancy=at % 7,
            confidence=0.9,
            entries=at % 3,
        )
        for at in range(first, first + size)
    ]


async def compare(admin: MeshChannel, cameras: Sequence[Camera]) -> tuple[int, int]:
    """Return how many acknowledged samples are missing, and how many are there too often."""
    lost = double = 0
    for camera in cameras:
        found = await stored(admin, camera)
        lost += max(camera.acknowledged - found, 0)
        double += max(found - camera.acknowledged, 0)
    return lost, double


async def stored(admin: MeshChannel, camera: Camera) -> int:
    """Return how many samples of a camera are stored."""
    whole: Any = await TelemetryServiceStub(admin).QueryTelemetry(
        telemetry_service_pb2.QueryTelemetryRequest(
            camera_id=camera.camera_id,
            since=Timestamp(seconds=camera.start_s),
            until=Timestamp(seconds=camera.start_s + 2 * _AGE_S),
            bucket_s=3600,
        ),
        timeout=60,
    )
    return sum(bucket.samples for bucket in whole.data)


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time that a process has taken."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
