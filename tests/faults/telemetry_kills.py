"""SIGKILL of a real control plane before, inside and after a commit of telemetry.

Reporters send until the process dies, and send again to the next one what was not acknowledged.
What is stored is held against the model after each start, before anything is sent again.
"""

import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc

from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from service_runtime.clients import FileToken, MeshChannel, StaticToken, open_channel
from service_runtime.secret import Secret
from tests.faults.crashing_control_plane import POINTS
from tests.faults.telemetry_world import History, Reporter
from tests.support.engines import database_url

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = 3
KILLS = tuple(f"sigkill {point} a commit" for point in POINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """How often a control plane was killed; what was sent of each camera, and what is stored."""

    kills: int
    stored: list[tuple[History, list[int]]]


@asynccontextmanager
async def control_plane(
    folder: Path, socket: Path, point: str, number: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}",
        "DFIP_LISTEN": f"unix:{socket}",
        "DFIP_DATA_DIR": str(folder / "data"),
        "DFIP_TOKENS_DIR": str(folder / "tokens"),
        "DFIP_JWKS_FILE": str(folder / "jwks.json"),
        "DFIP_MEDIA_ROOT": str(folder / "media"),
        "DFIP_INDEX_TARGET": f"unix:{folder}/index.sock",
        "DFIP_LOG_LEVEL": "error",
    }
    if (url := await database_url(folder)) is not None:
        environ["DFIP_DATABASE_URL"] = url.reveal()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.crashing_control_plane", point, str(number)),
        env=environ,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def connected(socket: Path, token: Any) -> AsyncIterator[MeshChannel]:
    channel = open_channel(f"unix:{socket}", token=token)
    try:
        await channel.channel_ready()
        yield channel
    finally:
        await channel.close()


async def register(admin: Any, manager: Any, number: int) -> tuple[Reporter, Secret]:
    created = await ControlPlaneServiceStub(admin).CreateCamera(
        pb.CreateCameraRequest(
            name=f"camera {number}", connection_string="rtsp://c/", desired_state="running"
        )
    )
    issued = await ControlPlaneServiceStub(manager).IssueWorkerToken(
        pb.IssueWorkerTokenRequest(camera_id=created.data.id)
    )
    reporter = Reporter(
        camera_id=created.data.id,
        epoch=issued.epoch,
        channel=None,
        start=datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2),
    )
    return reporter, Secret(issued.token)


async def report(reporter: Reporter, unsent: list[int], batches: int, dice: random.Random) -> None:
    """Send what is unsent, then new batches, until all is acknowledged or the process dies."""
    stream = reporter.stream()
    for _ in range(batches):
        if not unsent:
            unsent.append(reporter.next_batch(dice.randint(1, 20))[0])
        sequence = unsent[0]
        try:
            await stream.send_as(sequence, reporter.samples(reporter.batches[sequence]))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return
        reporter.acknowledged(unsent.pop(0))


async def killed_again_and_again(
    folder: Path, *, seed: int, points: Sequence[str] = POINTS
) -> Killed:
    """Report to a control plane that is killed at the points, and hold it against the model."""
    # a test's folders are too long for the name of a socket
    sockets = Path(tempfile.mkdtemp(prefix="dfip-"))
    try:
        return await _killed(folder, sockets / "c", random.Random(seed), points)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


async def _killed(folder: Path, socket: Path, dice: random.Random, points: Sequence[str]) -> Killed:
    admin_token = FileToken(folder / "data" / "admin.token")
    manager_token = FileToken(folder / "tokens" / "manager.token")
    reporters: list[tuple[Reporter, Secret]] = []
    unsent: list[list[int]] = [[] for _ in range(CAMERAS)]
    stored: list[tuple[History, list[int]]] = []
    kills = 0
    for point in (*dice.sample(points, len(points)), "never"):
        async with control_plane(folder, socket, point, dice.randint(2, 12)) as process:
            # the tokens are written before it serves
            async with connected(socket, None):
                pass
            async with connected(socket, admin_token) as admin:
                if not reporters:
                    async with connected(socket, manager_token) as manager:
                        reporters = [
                            await register(admin, manager, number) for number in range(CAMERAS)
                        ]
                for reporter, _ in reporters:
                    await reporter.check(admin)
                channels = [
                    open_channel(f"unix:{socket}", token=StaticToken(token))
                    for _, token in reporters
                ]
                sends = []
                for (reporter, _), channel, waiting in zip(
                    reporters, channels, unsent, strict=True
                ):
                    reporter.channel = channel
                    batches = 10 if point == "never" else 10_000
                    sends.append(report(reporter, waiting, batches, dice))
                await asyncio.gather(*sends)
                for channel in channels:
                    await channel.close()
                if point == "never":
                    for reporter, _ in reporters:
                        await reporter.check(admin)
                        stored.append((reporter.history, await reporter.stored(admin)))
                        assert reporter.history.acknowledged == reporter.history.sent
                else:
                    assert await process.wait() == -signal.SIGKILL
                    kills += 1
    assert all(len(reporter.history.acknowledged) > 10 for reporter, _ in reporters)
    return Killed(kills=kills, stored=stored)
