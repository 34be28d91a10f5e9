"""Whether a worker stays the size it is while its camera comes and goes for half an hour.

    python -m bench.soak [--minutes 30] [--seed N] [--every S]

Prints one JSON document. The whole mesh runs (`dfip up`); the camera is one of RTSP, with a face in
view, that drops its connection every 5 to 20 s: it breaks off, ends the stream, is gone for a
moment, or stays silent until the worker hangs up. Each time the worker is asked to try again at
once, so that half an hour holds some 140 openings. Every S seconds (2) the worker's process is
looked at, after a minute of warming up: file descriptors, threads, sockets and resident memory. Of
each: the mean of the first and of the last tenth, the highest, and the slope over all samples.
``worker_restarts`` counts processes that took its place. Nothing is asserted.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from tests.support.astronaut import astronaut
from tests.support.mesh import Mesh, running_mesh
from tests.support.reels import face_passing_by, reel
from tests.support.wayward_camera import WaywardCamera, wayward_camera

LEAST_S, MOST_S = 5.0, 20.0
WARM_UP_S = 60.0
_BACK_S = 60.0
_SILENT_S = 9.0


@dataclass(slots=True, kw_only=True)
class Samples:
    """What was seen of the worker, a row a sample."""

    at_s: list[float] = field(default_factory=list)
    seen: dict[str, list[float]] = field(default_factory=dict)
    pids: list[int] = field(default_factory=list)

    def take(self, process: psutil.Process, at_s: float) -> None:
        """Look at the process once."""
        with process.oneshot():
            row = {
                "file_descriptors": float(process.num_fds()),
                "threads": float(process.num_threads()),
                "sockets": float(len(process.net_connections("all"))),
                "rss_mib": process.memory_info().rss / (1 << 20),
            }
        self.at_s.append(at_s)
        self.pids.append(process.pid)
        for name, value in row.items():
            self.seen.setdefault(name, []).append(value)

    def summary(self) -> dict[str, dict[str, float]]:
        """Return the figures of each quantity."""
        return {name: _figures(self.at_s, values) for name, values in self.seen.items()}


def _figures(at_s: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    tenth = max(1, len(values) // 10)
    slope = float(np.polyfit(at_s, values, 1)[0]) * 3600 if len(values) > 2 else 0.0
    return {
        "first_tenth": round(float(np.mean(values[:tenth])), 2),
        "last_tenth": round(float(np.mean(values[-tenth:])), 2),
        "highest": round(max(values), 2),
        "slope_per_hour": round(slope, 2),
    }


class Soak:
    """One run: a mesh, its camera, and what comes over it."""

    def __init__(self, mesh: Mesh, camera: WaywardCamera, *, seed: int, every_s: float) -> None:
        self._mesh = mesh
        self._camera = camera
        self._dice = random.Random(seed)
        self._every_s = every_s
        self._camera_id = ""
        self.samples = Samples()
        self.drops: dict[str, int] = {}
        self.back_s: list[float] = []

    async def run(self, minutes: float) -> None:
        """Register the camera, and drop it again and again."""
        async with httpx.AsyncClient(
            base_url=self._mesh.url,
            headers={"authorization": f"Bearer {self._mesh.token}"},
            timeout=30,
            trust_env=False,
        ) as rest:
            await self._register(rest)
            await self._until_playing()
            began = time.monotonic()
            sampling = asyncio.create_task(self._sample(began))
            try:
                while time.monotonic() - began < minutes * 60:
                    await asyncio.sleep(self._dice.uniform(LEAST_S, MOST_S))
                    await self._drop(rest)
            finally:
                sampling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sampling

    async def _register(self, rest: httpx.AsyncClient) -> None:
        wanted = {"name": "Soak", "connection_string": self._camera.url_with_password}
        made = await rest.post("/cameras", json=wanted)
        made.raise_for_status()
        self._camera_id = made.json()["data"]["id"]
        url = f"/cameras/{self._camera_id}/status"
        (await rest.patch(url, json={"status": "enabled"})).raise_for_status()

    async def _drop(self, rest: httpx.AsyncClient) -> None:
        kind = self._dice.choice(["breaks off", "ends", "is gone", "stays silent"])
        self.drops[kind] = self.drops.get(kind, 0) + 1
        match kind:
            case "breaks off":
                self._camera.break_all()
            case "ends":
                self._camera.hang_up()
            case "is gone":
                await self._camera.switch_off()
                await asyncio.sleep(self._dice.uniform(0.5, 3))
                await self._camera.switch_on()
            case _:
                self._camera.temper.silent = True
                await asyncio.sleep(_SILENT_S)
                self._camera.temper.silent = False
        gone = time.monotonic()
        await asyncio.sleep(0.5)  # the worker notices, else there is nothing to try again
        (await rest.post(f"/cameras/{self._camera_id}:retry")).raise_for_status()
        await self._until_playing()
        self.back_s.append(time.monotonic() - gone)

    async def _until_playing(self) -> None:
        async with asyncio.timeout(_BACK_S):
            while not self._camera.playing:  # noqa: ASYNC110 - the worker comes when it wants
                await asyncio.sleep(0.05)

    async def _sample(self, began: float) -> None:
        while True:
            at_s = time.monotonic() - began
            for process in self._mesh.processes()["vision_worker"]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if at_s >= WARM_UP_S:
                        self.samples.take(process, at_s)
            await asyncio.sleep(self._every_s)


async def soak(mesh: Mesh, *, minutes: float, seed: int, every_s: float) -> dict[str, Any]:
    """Run, and return what was found."""
    clip = reel(face_passing_by(astronaut()[:360, :360], 90, (640, 360)), fps=15, key_every=15)
    async with wayward_camera(clip) as camera:
        run = Soak(mesh, camera, seed=seed, every_s=every_s)
        await run.run(minutes)
        return {
            "drops": run.drops,
            "connections": camera.connections,
            "back_p50_s": round(float(np.median(run.back_s)), 2),
            "back_max_s": round(max(run.back_s), 2),
            "worker_restarts": len(set(run.samples.pids)) - 1,
            "samples": len(run.samples.at_s),
            **run.samples.summary(),
        }


def main() -> int:
    """Soak, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=1, help="decides what is random (default 1)")
    parser.add_argument("--every", type=float, default=2.0, help="seconds from look to look")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("--camera-networks", "127.0.0.0/8")
        with running_mesh(Path(folder) / "data", *arguments) as mesh:
            found = asyncio.run(
                soak(mesh, minutes=asked.minutes, seed=asked.seed, every_s=asked.every)
            )
    document = {
        "benchmark": "soak",
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "load": load},
        "minutes": asked.minutes,
        "seed": asked.seed,
        **found,
    }
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
