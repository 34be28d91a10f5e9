"""The row "worker spool": what a worker called durable is in the database, once, and in order.

Real spools on real folders, real gateways, a real control plane: only the disk under SQLite is made
to end the process, or to refuse, at a chosen step (``spool_disk``). A sync leaves the same behind
as the write before it as far as SIGKILL goes, which takes nothing from the kernel; both are steps
all the same. ``no_space`` is told by the disk itself where no file may grow (RLIMIT_FSIZE), which
needs no privilege.
"""

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import func, select

from control_plane.gateway.outbox import Outbox
from control_plane.telemetry.tables import TelemetrySampleRow
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.clock import SystemClock
from service_runtime.errors import Unavailable
from service_runtime.identifiers import new_id
from tests.faults.crashing_spool import LIMITS, Nobody
from tests.faults.row import Figures, Row, Violation, inject, names
from tests.faults.spool_disk import MODES
from tests.faults.spool_reports import FIRST, sighting, telemetry_sample
from tests.faults.spool_world import Camera, World, running_world
from tests.support.engines import POSTGRES, SQLITE, engine_for_all
from tests.support.spool_formats import write_format_1
from tests.support.telemetry import sample
from vision_worker.gateway import Gateway
from vision_worker.spool.files import SpoolFolder
from vision_worker.spool.spool import ReportSpool

NAME = "worker spool"
STEPS = 8
_PAGE = 4096

Fault = Callable[[World], Awaitable[None]]


async def sigkill_at_a_step(world: World) -> None:
    camera = await world.camera()
    for _ in range(2):
        await killed_somewhere(world, camera)
    await camera.check()


async def sigkill_while_nobody_listens(world: World) -> None:
    camera = await world.camera()
    for away in (True, True, False):
        await killed_somewhere(world, camera, away=away)
    await camera.check()


async def sigkill_while_a_damaged_file_is_replaced(world: World) -> None:
    camera = await world.camera()
    camera.in_order = False
    await camera.live(steps=2 * STEPS, away=True)
    damage_a_page(camera.folder / "spool.db", world.dice)
    await expect_what_can_be_read(world, camera)
    step, stride = world.dice.randint(1, 3), world.dice.randint(3, 6)
    while world.was_killed(await camera.live(away=True, kill_at=step, mode=_mode(world))):
        step += stride
        if step > 400:
            break
    await camera.check()


async def truncated_file(world: World) -> None:
    await damaged(world, "spool.db", lambda data, dice: data[: dice.randrange(len(data))])


async def truncated_log(world: World) -> None:
    await damaged(world, "spool.db-wal", lambda data, dice: data[: dice.randrange(len(data))])


async def flipped_bits(world: World) -> None:
    await damaged(world, "spool.db", flipped)


async def flipped_bits_in_the_log(world: World) -> None:
    await damaged(world, "spool.db-wal", flipped)


async def full_disk(world: World) -> None:
    await refused(world, refusal="full")


async def read_only_disk(world: World) -> None:
    await refused(world, refusal="read_only")


async def failing_disk(world: World) -> None:
    await refused(world, refusal="failed")


async def no_space(world: World) -> None:
    await refused(world, file_bytes=world.dice.choice((40_000, 60_000, 80_000)))


async def sigkill_on_a_full_disk(world: World) -> None:
    camera = await world.camera()
    camera.in_order = False
    await camera.live(steps=STEPS, away=True)
    await camera.live(steps=STEPS, refusal="full", kill_at=world.dice.randint(10, 40))
    await camera.check()


async def sigkill_then_another_session_then_the_file_again(world: World) -> None:
    camera = await world.camera()
    camera.in_order = False
    await killed_somewhere(world, camera)
    held = SpoolFolder(camera.folder).lock()
    try:
        await camera.live(steps=STEPS)  # in memory, under a newer epoch
    finally:
        os.close(held)
    await camera.check()


async def two_workers_on_one_spool(world: World) -> None:
    camera = await world.camera()
    camera.in_order = False
    await camera.live(steps=STEPS, away=True)
    first = SpoolFolder(camera.folder).lock()
    try:
        said = await camera.live(steps=STEPS)
    finally:
        os.close(first)
    assert any(one.get("trouble") == "in_use" for one in said), said
    assert said[-1]["ended"] == 0
    _, revisions, _ = await camera.stored()
    assert revisions, "the second worker reported nothing"
    await camera.check()


async def acknowledgements_lost(world: World) -> None:
    camera = await world.camera()
    real, dice = Outbox.acknowledge, world.dice
    real_telemetry = Outbox.acknowledge_telemetry
    lost = Unavailable("RESTARTING", "The service restarts.")

    def acknowledge(self: Outbox, sequence: int) -> None:
        if dice.random() < 0.4:
            self.close(lost)
        else:
            real(self, sequence)

    def acknowledge_telemetry(self: Outbox, sequence: int, rejected_samples: int) -> None:
        if dice.random() < 0.4:
            self.close(lost)
        else:
            real_telemetry(self, sequence, rejected_samples)

    with (
        patch.object(Outbox, "acknowledge", acknowledge),
        patch.object(Outbox, "acknowledge_telemetry", acknowledge_telemetry),
    ):
        await camera.live(steps=STEPS)
        await killed_somewhere(world, camera)
    await camera.check()


async def file_of_the_format_before(world: World) -> None:
    camera = await world.camera()
    numbers = range(world.next_sighting, world.next_sighting + 3)
    world.next_sighting += 3
    seconds = list(range(camera.next_second, camera.next_second + 5))
    camera.next_second += 5
    batch = gateway_pb2.TelemetryBatch(samples=[telemetry_sample(one) for one in seconds])
    reports = [sighting(number) for number in numbers]
    write_format_1(
        camera.folder,
        camera_id=camera.camera_id,
        sightings=reports,
        telemetry=batch,
        added_at=datetime.now(UTC),
    )
    camera.note({"adding": seconds, "durable": seconds})
    for number in numbers:
        camera.note({"adding_sighting": number, "durable_sighting": [number, 1]})
    step = world.dice.randint(1, 8)
    while world.was_killed(await camera.live(away=True, kill_at=step, mode=_mode(world))):
        step += world.dice.randint(3, 8)
    await camera.check()


FAULTS: tuple[Fault, ...] = (
    sigkill_at_a_step,
    sigkill_while_nobody_listens,
    sigkill_while_a_damaged_file_is_replaced,
    truncated_file,
    truncated_log,
    flipped_bits,
    flipped_bits_in_the_log,
    full_disk,
    read_only_disk,
    failing_disk,
    no_space,
    sigkill_on_a_full_disk,
    sigkill_then_another_session_then_the_file_again,
    two_workers_on_one_spool,
    acknowledgements_lost,
    file_of_the_format_before,
)

# those of `make test`
QUICK: tuple[Fault, ...] = (
    sigkill_at_a_step,
    sigkill_while_nobody_listens,
    flipped_bits,
    full_disk,
    no_space,
    two_workers_on_one_spool,
    acknowledgements_lost,
    file_of_the_format_before,
)


def _mode(world: World) -> str:
    return world.dice.choice(MODES)


async def killed_somewhere(world: World, camera: Camera, *, away: bool = False) -> None:
    """Have a worker live, and most likely die."""
    step = world.dice.randint(1, 70)
    said = await camera.live(steps=STEPS, kill_at=step, mode=_mode(world), away=away)
    world.was_killed(said)


async def refused(world: World, *, refusal: str = "", file_bytes: int = 0) -> None:
    """Have the disk take nothing from the middle of a life on; the next has it again."""
    camera = await world.camera()
    camera.in_order = False
    await camera.live(steps=STEPS, away=True)
    said = await camera.live(steps=2 * STEPS, refusal=refusal, file_bytes=file_bytes)
    assert said[-1]["ended"] == 0, said[-1]
    (told,) = [one["trouble"] for one in said if "trouble" in one]
    if refusal:
        assert told == refusal
    else:
        assert told in {"", "full", "failed"}
    await camera.check()


async def damaged(world: World, name: str, damage: Callable[[bytes, random.Random], bytes]) -> None:
    """Damage a file between two lives: nothing comes twice or altered, and work goes on."""
    camera = await world.camera()
    camera.in_order = False
    await camera.live(steps=STEPS, away=True)
    said = await camera.live(steps=STEPS, kill_at=world.dice.randint(20, 60), mode="after")
    world.was_killed(said)
    path = camera.folder / name
    if not path.exists() or not path.stat().st_size:
        return  # it ended before it was killed
    path.write_bytes(damage(path.read_bytes(), world.dice))
    camera.may_lose, camera.lost_log = True, name.endswith("-wal")
    await camera.check()
    stored, revisions, _ = await camera.stored()
    world.figures["samples_salvaged"] += len(camera.durable_seconds & set(stored))
    world.figures["samples_on_damaged_files"] += len(camera.durable_seconds)
    camera.durable_seconds &= set(stored)
    camera.durable_sightings = {
        number: min(revision, revisions[number])
        for number, revision in camera.durable_sightings.items()
        if number in revisions
    }
    camera.may_lose = False
    camera.counted = len(camera.durable_seconds) + len(camera.durable_sightings)
    await camera.live(steps=STEPS)
    await camera.check()


def flipped(data: bytes, dice: random.Random) -> bytes:
    """Return the data with a few bits flipped."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 20)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def damage_a_page(path: Path, dice: random.Random) -> None:
    """Overwrite a page that is not the first."""
    page = dice.randrange(1, path.stat().st_size // _PAGE)
    with path.open("r+b") as file:
        file.seek(page * _PAGE)
        file.write(dice.randbytes(_PAGE))


async def expect_what_can_be_read(world: World, camera: Camera) -> None:
    """Take for promised what a spool finds in a copy of the folder, undisturbed."""
    copy = world.folder / new_id()
    shutil.copytree(camera.folder, copy)
    spool = ReportSpool(copy, camera_id=camera.camera_id, clock=SystemClock(), limits=LIMITS)
    camera.durable_seconds, camera.durable_sightings = set(), {}
    async with spool:
        while not spool.is_empty:
            while (batch := spool.next_batch()) is not None:
                for one in batch.message.sightings.sightings:
                    camera.durable_sightings[one.track_id] = one.revision
                for taken in batch.message.telemetry.samples:
                    camera.durable_seconds.add(taken.occupancy)
                spool.acknowledge(batch.name)
            await spool.add_telemetry([])


async def sweep(world: World, *, stride: int = 1) -> int:
    """Kill a worker at every step of its life, or every few; return how many steps."""
    camera = await world.camera()
    seed = world.dice.randrange(2**32)
    step = 1 + world.dice.randrange(stride)
    points = 0
    while world.was_killed(
        await camera.live(steps=STEPS, seed=seed, kill_at=step, mode=_mode(world))
    ):
        await camera.check()
        step += stride
        points += 1
    return points


async def drain_many(world: World, samples: int) -> None:
    """Send a backlog of samples; nothing is lost, the loop stays free, memory bounded."""
    camera = await world.camera()
    token, _ = await world.site.worker_token(camera.camera_id)
    spool = ReportSpool(camera.folder, camera_id=camera.camera_id, clock=SystemClock())
    await spool.open()
    began = time.perf_counter()
    last = None
    for start in range(0, samples, 100):
        last = spool.add_telemetry(
            [
                sample(FIRST + timedelta(milliseconds=number), occupancy=1)
                for number in range(start, start + 100)
            ]
        )
        if start % 10_000 == 0:
            await last
    assert last is not None
    await last
    world.figures["drain_added_a_second"] = int(samples / (time.perf_counter() - began))
    gateway = Gateway(
        world.site.running.channel(token=token),
        hello=gateway_pb2.WorkerHello(camera_id=camera.camera_id),
        spool=spool,
        sink=Nobody(),
        heartbeat=lambda: gateway_pb2.WorkerHeartbeat(
            worker_status="running", health_status="healthy", failure_reason="none"
        ),
        clock=SystemClock(),
    )
    line = asyncio.create_task(gateway.run())
    began = time.perf_counter()
    while not spool.is_empty:
        assert not line.done(), line.result()
        await asyncio.sleep(0.005)
    world.figures["drain_sent_a_second"] = int(samples / (time.perf_counter() - began))
    line.cancel()
    await asyncio.gather(line, return_exceptions=True)
    await spool.close()
    async with world.site.running.control_plane.parts.database.read() as session:
        of_camera = TelemetrySampleRow.camera_id == camera.camera_id
        columns = func.count(), func.count(func.distinct(TelemetrySampleRow.observed_us))
        found = (await session.execute(select(*columns).where(of_camera))).one()
    assert tuple(found) == (samples, samples)


async def nothing() -> None:
    """Each fault holds its own camera against the model."""


async def put_in(world: World, *, seed: int, rounds: int, faults: Sequence[Fault] = FAULTS) -> int:
    """Put faults into a world; return how many came."""
    return await inject(faults, world, nothing, row=NAME, seed=seed, rounds=rounds)


async def run(seed: int, size: int) -> Figures:
    """Run the whole row."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dfip-") as name:
        for engine in (SQLITE, POSTGRES):
            with engine_for_all(engine):
                async with running_world(Path(name) / engine, seed=seed) as world:
                    found["faults_injected"] += await put_in(world, seed=seed, rounds=size)
                    for turn in range(size if engine == SQLITE else 1):
                        try:
                            found["crash_points"] += await sweep(
                                world, stride=1 if engine == SQLITE else 5
                            )
                        except AssertionError as error:
                            steps = [f"sweep {turn}"]
                            raise Violation(
                                row=NAME, seed=seed, steps=steps, what=str(error)
                            ) from error
                        found["sweeps"] += 1
                    if engine == SQLITE:
                        await drain_many(world, 20_000 * size)
                    found["kills"] += world.kills
                    found.update(world.figures)
    return dict(found)


ROW = Row(name=NAME, faults=(*names(FAULTS), "many records"), run=run)
