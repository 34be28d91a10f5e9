"""The row "telemetry ingest": nothing acknowledged is lost, nothing counts twice.

Each seed is another order of the same faults over several cameras. After each fault, what is stored
is held against the model in ``telemetry_world``; ``telemetry_kills`` has SIGKILL of the service,
``telemetry_outages`` that of its PostgreSQL.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from control_plane.database import Transaction
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.telemetry import group_commit, store
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.model import Batch
from dfip.control_plane.v1 import control_plane_service_pb2
from dfip.control_plane.v1 import telemetry_service_pb2 as pb
from dfip.control_plane.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from service_runtime.identifiers import new_id
from tests.faults.row import Figures, Row, inject, names
from tests.faults.telemetry_kills import KILLS, Killed, killed_again_and_again
from tests.faults.telemetry_outages import OUTAGES, postgres_killed
from tests.faults.telemetry_world import History, Reporter
from tests.integration.control_plane.conftest import Site
from tests.support.control_plane import running_control_plane
from tests.support.engines import POSTGRES, SQLITE, engine_for_all
from tests.support.refusals import refused
from tests.support.virtual_clock import VirtualClock

NAME = "telemetry ingest"
CAMERAS = 3
POISON = "poison"


@dataclass(slots=True, kw_only=True)
class World:
    """A control plane whose database can be made to fail, and its reporters."""

    site: Site
    dice: random.Random
    viewer: Any
    reporters: list[Reporter] = field(default_factory=list)
    # what a transaction runs into after its writes
    breaks: Callable[[Sequence[Batch]], Exception | None] = lambda _: None

    @property
    def line(self) -> GroupCommit:
        return self.site.running.control_plane.parts.telemetry_line

    async def new_reporter(self) -> Reporter:
        camera_id = await self.site.camera(f"camera {new_id()}")
        token, epoch = await self.site.worker_token(camera_id)
        reporter = Reporter(
            camera_id=camera_id,
            epoch=epoch,
            channel=self.site.running.channel(token=token),
            start=self.site.clock.now() - timedelta(hours=2),
        )
        self.reporters.append(reporter)
        return reporter

    def pick(self) -> Reporter:
        return self.dice.choice(self.reporters)

    def size(self) -> int:
        return self.dice.randint(1, 8)

    @asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """Let no telemetry be written: hold what every transaction of it takes first."""
        async with self.site.running.control_plane.parts.database.write() as tx:
            await tx.session.execute(select(CameraRuntimeRow.camera_id).with_for_update())
            yield

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - nothing tells when a call has come in
            await asyncio.sleep(0)

    async def check(self) -> None:
        for reporter in self.reporters:
            await reporter.check(self.viewer)


Fault = Callable[[World], Awaitable[None]]


async def acknowledgement_lost(world: World) -> None:
    reporter = world.pick()
    sequence, seconds = reporter.next_batch(world.size())
    call = TelemetryServiceStub(reporter.channel).StreamTelemetry()
    request = pb.StreamTelemetryRequest(
        session_id=reporter.session_id, sequence=sequence, samples=reporter.samples(seconds)
    )
    await call.write(request)
    if world.dice.random() < 0.5:
        await call.read()  # it was on its way, and never came
    call.cancel()
    await reporter.stream().send_as(sequence, reporter.samples(seconds))
    reporter.acknowledged(sequence)


async def same_batch_twice_at_once(world: World) -> None:
    reporter = world.pick()
    sequence, seconds = reporter.next_batch(world.size())
    sends = (reporter.stream().send_as(sequence, reporter.samples(seconds)) for _ in range(3))
    await asyncio.gather(*sends)
    reporter.acknowledged(sequence)


async def same_number_with_other_content(world: World) -> None:
    reporter = world.pick()
    await reporter.deliver(world.size())
    other = reporter.samples(reporter.refused_batch(world.size()))
    with refused(grpc.StatusCode.ALREADY_EXISTS, "SEQUENCE_REUSED"):
        await reporter.stream().send_as(reporter.sequence, other)


async def gap(world: World) -> None:
    reporter = world.pick()
    early = reporter.samples(reporter.refused_batch(world.size()))
    with refused(grpc.StatusCode.OUT_OF_RANGE, "SEQUENCE_GAP") as refusal:
        await reporter.stream().send_as(reporter.sequence + world.dice.randint(2, 9), early)
    assert refusal.metadata["expected"] == str(reporter.sequence + 1)
    await reporter.deliver(world.size())


async def old_batches(world: World) -> None:
    reporter = world.pick()
    stream = reporter.stream()
    await reporter.deliver(world.size())
    for sequence in world.dice.choices(list(reporter.batches), k=4):
        await stream.send_as(sequence, reporter.samples(reporter.batches[sequence]))


async def impossible_samples_among_good_ones(world: World) -> None:
    reporter = world.pick()
    sequence, seconds = reporter.next_batch(6)
    samples = reporter.samples(seconds)
    samples[0].confidence = float("nan")
    samples[1].confidence = float("inf")
    samples[2].timestamp.seconds = 0  # 1970
    samples[3].timestamp.seconds = 4_102_444_800  # 2100
    reporter.history.refused |= set(seconds[:4])
    answer = await reporter.stream().send_as(sequence, samples)
    assert [rejected.index for rejected in answer.rejected] == [0, 1, 2, 3]
    reporter.history.acknowledged |= set(seconds[4:])


async def stale_epoch(world: World) -> None:
    reporter = world.pick()
    open_stream = reporter.stream()
    await reporter.deliver(1)
    sequence, seconds = reporter.next_batch(1)
    await open_stream.send_as(sequence, reporter.samples(seconds))
    reporter.acknowledged(sequence)
    token, reporter.epoch = await world.site.worker_token(reporter.camera_id)
    late = reporter.samples(reporter.refused_batch(world.size()))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await open_stream.send_as(reporter.sequence + 1, late)
    reporter.channel = world.site.running.channel(token=token)
    reporter.session_id, reporter.sequence, reporter.batches = new_id(), 0, {}
    await reporter.deliver(world.size())


async def deleted_camera(world: World) -> None:
    reporter = world.pick()
    open_stream = reporter.stream()
    sequence, seconds = reporter.next_batch(1)
    await open_stream.send_as(sequence, reporter.samples(seconds))
    request = control_plane_service_pb2.DeleteCameraRequest(camera_id=reporter.camera_id)
    await world.site.cameras().DeleteCamera(request)
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await open_stream.send_as(sequence + 1, reporter.samples([sequence + 1]))
    world.reporters.remove(reporter)
    await (await world.new_reporter()).deliver(world.size())


async def poison_among_good_ones(world: World) -> None:
    poisoned, *others = world.dice.sample(world.reporters, CAMERAS)
    world.breaks = lambda batches: (
        ValueError("nobody foresaw this")
        if any(sample.zone == POISON for batch in batches for sample in batch.samples)
        else None
    )
    bad = poisoned.samples(poisoned.refused_batch(world.size()), zone=POISON)

    async def send_poison() -> None:
        with refused(grpc.StatusCode.INTERNAL, "INTERNAL"):
            await poisoned.stream().send_as(poisoned.sequence + 1, bad)

    async with world.standstill():
        first = asyncio.ensure_future(others[0].deliver(world.size()))
        await world.line._work.wait()  # the first keeps the writer busy while the others gather
        gathered = asyncio.gather(first, send_poison(), others[1].deliver(world.size()))
        await world.until(lambda: len(world.line._line) == 2)
    await gathered
    world.breaks = lambda _: None
    await poisoned.deliver(world.size())


async def full_queue(world: World) -> None:
    reporter = world.pick()
    stub = TelemetryServiceStub(reporter.channel)
    seconds = reporter.history.take(80)
    requests = [
        pb.ReportTelemetryRequest(
            camera_id=reporter.camera_id,
            timestamp=sample.timestamp,
            occupancy=sample.occupancy,
            report_id=str(second),
        )
        for second, sample in zip(seconds, reporter.samples(seconds), strict=True)
    ]
    before, world.line._most_waiting = world.line._most_waiting, 40
    turned_away = asyncio.Event()

    async def send(request: pb.ReportTelemetryRequest) -> bool:
        try:
            await stub.ReportTelemetry(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            turned_away.set()
            return False
        return True

    async with world.standstill():  # nothing is written meanwhile
        sends = asyncio.gather(*(send(request) for request in requests))
        await turned_away.wait()
    taken = await sends
    world.line._most_waiting = before
    assert 0 < sum(taken) < len(taken)
    pairs = list(zip(seconds, requests, taken, strict=True))
    reporter.history.acknowledged |= {second for second, _, was_taken in pairs if was_taken}
    await world.check()
    again = await asyncio.gather(*(send(request) for _, request, _ in pairs))
    assert all(again)
    reporter.history.acknowledged |= set(seconds)


async def full_database(world: World) -> None:
    full = OperationalError("INSERT", {}, Exception("database or disk is full"))
    world.breaks = lambda _: full
    reporter = world.pick()
    sequence, seconds = reporter.next_batch(world.size())
    with refused(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"):
        await reporter.stream().send_as(sequence, reporter.samples(seconds))
    world.breaks = lambda _: None
    await reporter.stream().send_as(sequence, reporter.samples(seconds))
    reporter.acknowledged(sequence)


async def caller_that_leaves(world: World) -> None:
    reporter = world.pick()
    stub = TelemetryServiceStub(reporter.channel)
    (second,) = reporter.history.take(1)
    (sample,) = reporter.samples([second])
    request = pb.ReportTelemetryRequest(
        camera_id=reporter.camera_id,
        timestamp=sample.timestamp,
        occupancy=sample.occupancy,
        report_id=new_id(),
    )
    async with world.standstill():
        call = stub.ReportTelemetry(request)
        await world.line._work.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await stub.ReportTelemetry(request)
    reporter.history.acknowledged.add(second)


async def another_cameras_session(world: World) -> None:
    mine, other = world.dice.sample(world.reporters, 2)
    await other.deliver(1)
    stream = mine.stream()
    stream.session_id = other.session_id
    foreign = mine.samples(mine.refused_batch(world.size()))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "SESSION_OF_ANOTHER_CAMERA"):
        await stream.send_as(other.sequence + 1, foreign)


FAULTS: list[Fault] = [
    acknowledgement_lost,
    same_batch_twice_at_once,
    same_number_with_other_content,
    gap,
    old_batches,
    impossible_samples_among_good_ones,
    stale_epoch,
    deleted_camera,
    poison_among_good_ones,
    full_queue,
    full_database,
    caller_that_leaves,
    another_cameras_session,
]


@asynccontextmanager
async def running_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """Run a control plane whose database can be made to fail, with its reporters."""
    clock = VirtualClock()
    real = store.write_group
    async with running_control_plane(folder, clock=clock, **settings) as running:
        site = Site(running=running, clock=clock)
        world = World(site=site, dice=random.Random(0), viewer=running.channel("viewer"))

        async def write_group(tx: Transaction, batches: Sequence[Batch]) -> Any:
            written = await real(tx, batches)
            if (error := world.breaks(batches)) is not None:
                raise error
            return written

        with patch.object(group_commit, "write_group", write_group):
            for _ in range(CAMERAS):
                await world.new_reporter()
            yield world
        assert not running.stopping, "a root task of the control plane crashed"


async def put_in(world: World, *, seed: int, rounds: int) -> int:
    """Put every fault into a world; return how many came."""
    world.dice = random.Random(seed)
    return await inject(FAULTS, world, world.check, row=NAME, seed=seed, rounds=rounds)


async def run(seed: int, size: int) -> Figures:
    """Run the whole row."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dfip-") as name:
        folder = Path(name)
        for engine in (SQLITE, POSTGRES):
            with engine_for_all(engine):
                found += await _run_on(folder / engine, seed, size)
        for turn in range(size):
            found += total(await postgres_killed(folder / f"server {turn}", seed=seed + turn))
    return {key: found[key] for key in FIGURES}


async def _run_on(folder: Path, seed: int, size: int) -> Counter[str]:
    found: Counter[str] = Counter()
    async with running_world(folder / "world") as world:
        found["faults_injected"] = await put_in(world, seed=seed, rounds=size)
        for reporter in world.reporters:
            found += tally(reporter.history, await reporter.stored(world.viewer))
    for turn in range(size):
        found += total(await killed_again_and_again(folder / f"killed {turn}", seed=seed + turn))
    return found


def total(killed: Killed) -> Counter[str]:
    """Count the kills, and what came of all that was sent meanwhile."""
    found = Counter(kills=killed.kills)
    for history, stored in killed.stored:
        found += tally(history, stored)
    return found


def tally(history: History, stored: Sequence[int]) -> Counter[str]:
    """Count what was promised of a camera, and what was not kept."""
    return Counter(
        samples_sent=len(history.sent),
        samples_acknowledged=len(history.acknowledged),
        acknowledged_and_lost=len(history.lost(stored)),
        double=len(history.double(stored)),
    )


FIGURES = (
    "faults_injected", "kills", "samples_sent", "samples_acknowledged", "acknowledged_and_lost",
    "double",
)  # fmt: skip
ROW = Row(name=NAME, faults=names(FAULTS) + KILLS + OUTAGES, run=run)
