"""A control plane, cameras whose workers die, and the model of what must hold of their reports.

What a worker called durable must be in the database, once: a sighting in that revision or a newer,
a sample as itself. What was only added may be there, once. Sightings come in the order in which
they were added. ``Camera.check`` holds the database against that.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from control_plane.events.tables import EventRow
from control_plane.sightings.tables import SightingRow
from control_plane.telemetry.tables import TelemetrySampleRow
from service_runtime.identifiers import new_id
from tests.faults.crashing_spool import MOST_SAMPLES, Errand
from tests.faults.spool_reports import FIRST, sighting_id
from tests.integration.control_plane.conftest import Site
from tests.support.control_plane import running_control_plane
from tests.support.virtual_clock import VirtualClock

ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True, kw_only=True)
class Camera:
    """One camera, and what its workers promised."""

    world: "World"
    camera_id: str
    folder: Path
    next_second: int = 0
    seconds: set[int] = field(default_factory=set)
    durable_seconds: set[int] = field(default_factory=set)
    sightings: list[int] = field(default_factory=list)
    durable_sightings: dict[int, int] = field(default_factory=dict)
    # damage and dropping take what was promised; then only doubles and inventions are wrong
    may_lose: bool = False
    # a log without its end is a disk that lied: what was cut is not known, samples may come again
    lost_log: bool = False
    # what is added while the disk takes nothing is sent before what waits in the file; and where
    # damage took the first report of a sighting, a later one comes in its own turn
    in_order: bool = True
    counted: int = 0

    async def live(self, *, away: bool = False, **errand: Any) -> list[dict[str, Any]]:
        """Have a worker live once, under a new epoch; return what it said last."""
        token, target = "", ""
        if not away:
            token, _ = await self.world.site.worker_token(self.camera_id)
            target = self.world.site.running.target
        steps = errand.get("steps", 0)
        errand.setdefault("seed", self.world.dice.randrange(2**32))
        first, second = self.world.next_sighting, self.next_second
        self.world.next_sighting += steps
        self.next_second += steps * MOST_SAMPLES
        said = await self.world.workers.run(
            Errand(
                folder=str(self.folder),
                camera_id=self.camera_id,
                token=token,
                target=target,
                first=first,
                second=second,
                bug=self.world.bug,
                **errand,
            )
        )
        for one in said:
            self.note(one)
        return said

    def note(self, said: dict[str, Any]) -> None:
        """Note what a worker added and what it promised."""
        self.seconds |= set(said.get("adding", ()))
        self.durable_seconds |= set(said.get("durable", ()))
        if (number := said.get("adding_sighting")) is not None and number not in self.sightings:
            self.sightings.append(number)
        if (durable := said.get("durable_sighting")) is not None:
            number, revision = durable
            self.durable_sightings[number] = max(revision, self.durable_sightings.get(number, 0))
        assert "crashed" not in said, f"the worker crashed: {said['crashed']}"

    async def drain(self) -> None:
        """Have a worker send what is left."""
        said = await self.live()
        assert {"empty": True, "ending": ""} in said, f"not all was sent: {said}"

    async def check(self) -> None:
        """Send what is left, and hold the database against what was promised."""
        await self.drain()
        stored, revisions, order = await self.stored()
        double = sorted(second for second, times in Counter(stored).items() if times > 1)
        lost = set() if self.may_lose else self.durable_seconds - set(stored)
        older = {
            number: revision
            for number, revision in self.durable_sightings.items()
            if not self.may_lose and revisions.get(number, 0) < revision
        }
        self.count(lost=len(lost) + len(older), double=len(double))
        assert not double or self.lost_log, f"samples stored more than once: {double}"
        invented = sorted(set(stored) - self.seconds)
        assert not invented, f"samples stored and never added: {invented}"
        expected = [number for number in self.sightings if number in revisions]
        in_order = order == expected or not self.in_order
        assert in_order, f"sightings came in the order {order}, not {expected}"
        assert not lost, f"samples promised and lost: {sorted(lost)}"
        assert not older, f"sightings promised in these revisions, and lost or older: {older}"

    def count(self, *, lost: int, double: int) -> None:
        """Count what this camera was promised since the last look, and what came of it."""
        promised = len(self.durable_seconds) + len(self.durable_sightings)
        figures = self.world.figures
        figures["promised"] += promised - self.counted
        self.counted = promised
        figures["lost"] += lost
        figures["samples_again_after_a_lost_log" if self.lost_log else "double"] += double

    async def stored(self) -> tuple[list[int], dict[int, int], list[int]]:
        """Return the samples in the database, the sightings' revisions, and in which order."""
        database = self.world.site.running.control_plane.parts.database
        async with database.read() as session:
            samples = (
                await session.execute(
                    select(TelemetrySampleRow.observed_us, TelemetrySampleRow.occupancy).where(
                        TelemetrySampleRow.camera_id == self.camera_id
                    )
                )
            ).all()
            sightings = (
                await session.execute(
                    select(
                        SightingRow.id, SightingRow.track_id, SightingRow.revision,
                        SightingRow.frames,
                    ).where(SightingRow.camera_id == self.camera_id)
                )
            ).all()  # fmt: skip
            created = await session.scalars(
                select(EventRow.sighting_id)
                .where(EventRow.camera_id == self.camera_id, EventRow.type == "sighting.created")
                .order_by(EventRow.sequence)
            )
        by_id = {row.id: row.track_id for row in sightings}
        for row in sightings:
            assert row.id == sighting_id(row.track_id), f"altered: {row}"
            assert row.frames == row.revision, f"altered: {row}"
        start = FIRST.timestamp() * 1_000_000
        for observed_us, occupancy in samples:
            assert observed_us == start + occupancy * 1_000_000, f"altered: {observed_us}"
        order = [by_id[str(one)] for one in created]
        return (
            [occupancy for _, occupancy in samples],
            {row.track_id: row.revision for row in sightings},
            order,
        )


class Workers:
    """The process that workers are forked from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, errand: Errand) -> list[dict[str, Any]]:
        """Have a worker live once; return what it said, how it ended last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(errand)).encode() + b"\n")
        said: list[dict[str, Any]] = []
        async with asyncio.timeout(60):
            while not said or "ended" not in said[-1]:
                line = await self._process.stdout.readline()
                assert line, "the process that workers are forked from has ended"
                said.append(json.loads(line))
        return said


@dataclass(slots=True, kw_only=True)
class World:
    """A control plane and workers that may be killed."""

    site: Site
    workers: Workers
    folder: Path
    dice: random.Random
    bug: str = ""
    next_sighting: int = 0  # all over the control plane: its id follows from it
    kills: int = 0
    figures: Counter[str] = field(default_factory=Counter)

    async def camera(self) -> Camera:
        """Return a camera whose folder is empty; the sightings of each have ids of their own."""
        camera_id = await self.site.camera(f"camera {new_id()}")
        folder = self.folder / camera_id
        folder.mkdir(parents=True)
        return Camera(world=self, camera_id=camera_id, folder=folder)

    def was_killed(self, said: list[dict[str, Any]]) -> bool:
        """Return whether a worker was killed, and count it."""
        killed = bool(said[-1]["ended"] == -signal.SIGKILL)
        self.kills += killed
        return killed


@asynccontextmanager
async def workers() -> AsyncIterator[Workers]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.crashing_spool"),
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}"},
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield Workers(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.kill()
        await process.wait()


@asynccontextmanager
async def running_world(folder: Path, *, seed: int) -> AsyncIterator[World]:
    """Run a world."""
    clock = VirtualClock()
    async with workers() as forked, running_control_plane(folder / "site", clock=clock) as running:
        yield World(
            site=Site(running=running, clock=clock),
            workers=forked,
            folder=folder / "spools",
            dice=random.Random(seed),
        )
        assert not running.stopping, "a root task of the control plane crashed"
