"""``python -m tests.faults.crashing_spool``: spools that are killed, one process each.

Reads what to do as lines of JSON (``Errand``), and for each forks a process that has a real spool
on a real folder and a real gateway to a control plane, adds reports, and is killed where it is told
to be. What it promises it says at once: a report is told as durable when the spool said so. Forked,
because to start a process with all that it needs takes as long as fifty of its lives.
"""

import asyncio
import dataclasses
import json
import os
import random
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.backoff import Backoff
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.secret import Secret
from service_runtime.structured_logging import configure_logging
from tests.faults import spool_bugs
from tests.faults.spool_disk import REFUSALS, Disk
from tests.faults.spool_reports import sighting, telemetry_sample
from vision_worker.gateway import Gateway
from vision_worker.spool.model import SpoolLimits
from vision_worker.spool.spool import ReportSpool

MOST_SAMPLES = 9  # of one step
LIMITS = SpoolLimits(
    batch_sightings=3, batch_samples=8, portion_samples=4, sightings_under_way=2,
    telemetry_under_way=2,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One life of a worker.

    Attributes:
        target: the control plane; empty where it is away.
        first: number of its first sighting.
        second: of its first sample.
        steps: how often it adds something; 0 to send what is left and end.
        kill_at: see ``Disk``.
        refusal: of the disk, by name, from the middle of its life to its end.
        file_bytes: no file grows beyond; 0 for any size.
        bug: one of ``spool_bugs``; empty for none.
    """

    folder: str
    camera_id: str
    token: str = ""
    target: str = ""
    seed: int = 0
    first: int = 0
    second: int = 0
    steps: int = 0
    kill_at: int = 0
    mode: str = "before"
    refusal: str = ""
    file_bytes: int = 0
    bug: str = ""


def say(**what: Any) -> None:
    """Tell whoever started this; what was told is told, whatever comes then."""
    os.write(1, json.dumps(what).encode() + b"\n")


class Nobody:
    """Watches no camera."""

    def assign(self, _assignment: gateway_pb2.Assignment) -> None:
        """Look at nothing."""

    def retry_now(self) -> None:
        """Look at nothing sooner."""

    async def wind_down(self) -> None:
        """Have nothing left."""


class Life:
    """A worker, from its start to whatever ends it."""

    def __init__(self, errand: Errand, disk: Disk) -> None:
        self.errand = errand
        self.disk = disk
        self.dice = random.Random(errand.seed)
        self.sighting, self.second = errand.first, errand.second
        self.revisions: dict[int, int] = {}

    async def live(self) -> None:
        errand = self.errand
        spool = ReportSpool(
            Path(errand.folder), camera_id=errand.camera_id, clock=SystemClock(), limits=LIMITS
        )
        async with spool:
            if not errand.target:
                await self.work(spool)
                return
            token = StaticToken(Secret(errand.token))
            async with open_channel(errand.target, token=token) as channel:
                gateway = Gateway(
                    channel,
                    hello=gateway_pb2.WorkerHello(camera_id=errand.camera_id),
                    spool=spool,
                    sink=Nobody(),
                    heartbeat=lambda: gateway_pb2.WorkerHeartbeat(
                        worker_status="running", health_status="healthy", failure_reason="none"
                    ),
                    clock=SystemClock(),
                    backoff=Backoff(initial_s=0.01, cap_s=0.05),
                )
                line = asyncio.create_task(gateway.run())
                await self.work(spool)
                while not is_settled(spool) and not line.done():  # noqa: ASYNC110 nothing tells
                    await asyncio.sleep(0.002)
                say(empty=spool.is_empty, ending=str(line.result()) if line.done() else "")
                line.cancel()
                await asyncio.gather(line, return_exceptions=True)

    async def work(self, spool: ReportSpool) -> None:
        waiting = []
        for step in range(self.errand.steps):
            if step == self.errand.steps // 2:
                self.disk.refusal = REFUSALS.get(self.errand.refusal, 0)
            waiting.append(self.add(spool))
            if self.dice.random() < 0.6:
                await asyncio.gather(*waiting)
                waiting = []
        await asyncio.gather(*waiting)
        say(steps=self.disk.steps, trouble=spool.status.trouble)

    def add(self, spool: ReportSpool) -> "asyncio.Future[None]":
        if self.dice.random() < 0.5:
            count = self.dice.randint(1, MOST_SAMPLES)
            seconds = list(range(self.second, self.second + count))
            self.second += count
            say(adding=seconds)
            return asyncio.ensure_future(self.add_telemetry(spool, seconds))
        number = self.sighting
        if self.revisions and self.dice.random() < 0.3:
            number = self.dice.choice(list(self.revisions))
        else:
            self.sighting += 1
        revision = self.revisions[number] = self.revisions.get(number, 0) + 1
        return asyncio.ensure_future(self.add_sighting(spool, number, revision))

    async def add_telemetry(self, spool: ReportSpool, seconds: list[int]) -> None:
        made: list[telemetry_pb2.TelemetrySample] = [telemetry_sample(one) for one in seconds]
        if await spool.add_telemetry(made):
            say(durable=seconds)

    async def add_sighting(self, spool: ReportSpool, number: int, revision: int) -> None:
        crop = self.dice.randbytes(self.dice.choice((0, 300, 6000)))
        say(adding_sighting=number)
        if await spool.add_sighting(sighting(number, revision, crop)):
            say(durable_sighting=[number, revision])


def is_settled(spool: ReportSpool) -> bool:
    """Return whether all is sent that can be; without a disk, what is in the file has to wait."""
    if spool.is_empty or not spool.status.trouble or spool._memory is None:
        return spool.is_empty
    held = spool._holding.get(spool._memory)
    return not (
        spool._under_way or spool._line or (held is not None and (held.sightings or held.samples))
    )


def live(errand: Errand) -> None:
    """Live once, in a process that may be killed."""
    configure_logging("spool", level="critical")
    if errand.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (errand.file_bytes, errand.file_bytes))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    disk = Disk()
    disk.kill_at, disk.mode = errand.kill_at, errand.mode
    disk.install()
    spool_bugs.plant(errand.bug)
    asyncio.run(Life(errand, disk).live())


def main() -> None:
    """Run errand after errand."""
    for line in sys.stdin:
        errand = Errand(**json.loads(line))
        child = os.fork()
        if child == 0:
            try:
                live(errand)
            except BaseException as error:  # noqa: BLE001 - whoever started this has to know
                say(crashed=f"{type(error).__name__}: {error}")
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
