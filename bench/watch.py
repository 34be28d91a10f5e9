"""How long a change takes to those who watch: many cameras, many watchers of several kinds.

    python -m bench.watch [--database sqlite|postgres] [--seconds S] [--rate N] [--cameras N]
                          [--watch-events N] [--watch-cameras N] [--sse N] [--stalled-sse N]

Prints one JSON document. A control plane runs as a process of its own, Envoy before it, and the
watchers in a third process: ``WatchEvents`` and ``WatchCameras`` over gRPC straight to the control
plane, server-sent events through Envoy. Cameras are renamed at a steady rate through
``UpdateCamera``, a few at once if need be; every watcher is told of every change. The moment of a
commit is not known outside, but lies between two that are: ``ms_from_request`` runs from before
the change was asked for, so its whole transaction is in it, ``ms_from_answer`` from when its answer
was there (``change_ms`` is how long requests took). ``missed`` and ``in_another_order_or_twice``
must be 0. ``stalled_sse`` are readers beside the others who open a stream and never read on: they
show whether memory grows behind them. Everything shares the machine; CPU is told for each process,
and ``load_before`` what else was going on. Nothing is asserted.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import uvloop

from bench.sites.control_plane import ControlPlaneSite, running_control_plane
from bench.sites.memory import thinned, watched_memory
from bench.sites.postgres import postgres_server
from bench.sites.watch_load import name_of
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1 import token_service_pb2
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.token_service_pb2_grpc import TokenServiceStub

_ROOT = Path(__file__).resolve().parents[1]
# what one token may have open at once is bounded
_WATCHES_OF_A_TOKEN = 40
# more would hide a service that cannot keep up behind a queue of its own
_CHANGES_AT_ONCE = 16
_KINDS = {"watch-events": 100, "watch-cameras": 20, "sse": 80, "stalled-sse": 10}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.watch", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=15, help="how long (default 15)")
    parser.add_argument("--rate", type=float, default=100, help="changes a second (default 100)")
    parser.add_argument("--cameras", type=int, default=1000, help="cameras (default 1000)")
    for kind, count in _KINDS.items():
        parser.add_argument(
            f"--{kind}", type=int, default=count, help=f"watchers (default {count})"
        )
    print(json.dumps(uvloop.run(measure(parser.parse_args())), indent=2))


async def measure(asked: argparse.Namespace) -> dict[str, object]:
    """Run the service, the edge and the watchers, and return the document."""
    load_before = os.getloadavg()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dfip-")))
        url = None
        if asked.database == "postgres":
            url = await stack.enter_context(postgres_server()).create_database("dfip")
        site = await stack.enter_async_context(running_control_plane(folder, database_url=url))
        edge = await stack.enter_async_context(site.edge())
        # its only child that is no Python
        (envoy,) = [one for one in psutil.Process().children() if "envoy" in one.name()]
        ids = await cameras(site, asked.cameras)
        changes = max(1, round(asked.rate * asked.seconds))
        told = {
            "target": site.target,
            "edge": edge,
            "viewers": await viewers(site, asked),
            "manager": str(folder / "tokens" / "manager.token"),
            "changes": changes,
            "cameras": len(ids),
            **{kind.replace("-", "_"): vars(asked)[kind.replace("-", "_")] for kind in _KINDS},
        }
        watchers = await stack.enter_async_context(watching(told))
        cpu = {"control_plane": cpu_s(site.process), "envoy": cpu_s(envoy)}
        async with watched_memory(site.process) as memory, watched_memory(envoy) as of_envoy:
            started = time.perf_counter()
            made = await change(site, ids, changes, asked.rate)
            took = time.perf_counter() - started
            seen = await seen_by(watchers, made)
        now = {"control_plane": cpu_s(site.process), "envoy": cpu_s(envoy)}
        p50, p99 = np.percentile([change.took_s * 1e3 for change in made], [50, 99])
        return {
            "benchmark": "watch",
            "machine": {
                "processor": platform.machine(),
                "cores": os.cpu_count(),
                "load_before": load_before,
            },
            "database": asked.database,
            "cameras": asked.cameras,
            "changes": changes,
            "changes_per_s": round(changes / took, 1),
            "change_ms": {"p50": round(float(p50), 1), "p99": round(float(p99), 1)},
            "watchers": seen["by"],
            "stalled_sse": asked.stalled_sse,
            "cpu_share": {
                **{name: round((now[name] - cpu[name]) / took, 2) for name in cpu},
                "watchers": round(seen["cpu_s"] / took, 2),
            },
            "memory_mb": {"control_plane": thinned(memory), "envoy": thinned(of_envoy)},
        }


@asynccontextmanager
async def watching(told: dict[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the watchers until the block ends; all of them watch when it begins."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.sites.watch_load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(told).encode() + b"\n")
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the watchers did not start")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def cameras(site: ControlPlaneSite, count: int) -> list[str]:
    """Register cameras and return their ids."""
    admin = site.admin()
    stub = ControlPlaneServiceStub(admin)
    ids = []
    for number in range(count):
        request = pb.CreateCameraRequest(
            name=f"camera {number}", connection_string="rtsp://camera.example/"
        )
        ids.append(str((await stub.CreateCamera(request)).data.id))
    await admin.close()
    return ids


async def viewers(site: ControlPlaneSite, asked: argparse.Namespace) -> list[str]:
    """Return tokens, enough for the watchers of one kind."""
    most = max(asked.watch_events, asked.sse, asked.stalled_sse)
    admin = site.admin()
    request = token_service_pb2.IssueTokenRequest(role="viewer", subject="bench")
    tokens = [
        str((await TokenServiceStub(admin).IssueToken(request)).data.token)
        for _ in range(3 * most // _WATCHES_OF_A_TOKEN + 1)
    ]
    await admin.close()
    return tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that was made; moments are of the monotonic clock, in ns."""

    asked_ns: int
    answered_ns: int

    @property
    def took_s(self) -> float:
        """How long its request took."""
        return (self.answered_ns - self.asked_ns) / 1e9


async def change(site: ControlPlaneSite, ids: list[str], changes: int, rate: float) -> list[Change]:
    """Rename cameras at a steady rate, each in its time; return when each was made."""
    admin = site.admin()
    stub = ControlPlaneServiceStub(admin)
    made: dict[int, Change] = {}
    places = asyncio.Semaphore(_CHANGES_AT_ONCE)

    async def rename(number: int) -> None:
        async with places:
            asked_ns = time.monotonic_ns()
            request = pb.UpdateCameraRequest(
                camera_id=ids[number % len(ids)], name=name_of(number, asked_ns)
            )
            await stub.UpdateCamera(request)
            made[number] = Change(asked_ns=asked_ns, answered_ns=time.monotonic_ns())

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(changes):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            tasks.create_task(rename(number))
    await admin.close()
    return [made[number] for number in range(changes)]


async def seen_by(watchers: asyncio.subprocess.Process, made: list[Change]) -> dict[str, Any]:
    """Tell the watchers when the changes were made; return what they saw of them."""
    assert watchers.stdin is not None
    assert watchers.stdout is not None
    moments = [(change.asked_ns, change.answered_ns) for change in made]
    watchers.stdin.write(json.dumps(moments).encode() + b"\n")
    seen: dict[str, Any] = json.loads(await watchers.stdout.readline())
    return seen


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time that a process has taken."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
