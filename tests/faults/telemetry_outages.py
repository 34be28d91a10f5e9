"""SIGKILL of PostgreSQL in the middle of an ingest: the service outlives it and keeps its promises.

The control plane runs in this process and is never started again. Reporters send all the while, and
send again what was not acknowledged, as workers do.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psutil

from service_runtime.clock import SystemClock
from service_runtime.secret import Secret
from tests.faults.telemetry_kills import CAMERAS, Killed, register
from tests.faults.telemetry_world import Reporter
from tests.support.control_plane import running_control_plane
from tests.support.postgres import postgres_server, start_again

OUTAGES = ("sigkill postgres",)
_DURABLE = "autovacuum = off\n"  # and all else as it comes: fsync, synchronous_commit


class Senders:
    """Reporters that send batch after batch until they are told to stop."""

    def __init__(self, reporters: list[Reporter], dice: random.Random) -> None:
        self._reporters = reporters
        self._dice = dice
        self._stopping = False
        self._progress = asyncio.Event()
        self._acknowledged = 0
        self._refused = 0

    async def run(self) -> None:
        """Send; when it ends, everything that was sent is acknowledged."""
        await asyncio.gather(*(self._send(reporter) for reporter in self._reporters))

    def stop(self) -> None:
        """Let each finish its batch."""
        self._stopping = True

    async def acknowledge(self, more: int) -> None:
        """Wait until so many more batches are acknowledged."""
        enough = self._acknowledged + more
        await self._until(lambda: self._acknowledged >= enough)

    async def be_refused(self) -> None:
        """Wait until somebody is refused."""
        before = self._refused
        await self._until(lambda: self._refused > before)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self._progress.clear()
                await self._progress.wait()

    async def _send(self, reporter: Reporter) -> None:
        stream = reporter.stream()
        while not self._stopping:
            sequence, seconds = reporter.next_batch(self._dice.randint(1, 20))
            samples = reporter.samples(seconds)
            while True:
                try:
                    await stream.send_as(sequence, samples)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    self._refused += 1
                    self._progress.set()
                    await asyncio.sleep(0.1)  # as a worker would, only sooner
                else:
                    break
            reporter.acknowledged(sequence)
            self._acknowledged += 1
            self._progress.set()


async def postgres_killed(folder: Path, *, seed: int, kills: int = 2) -> Killed:
    """Kill the server under an ingest, start it again, and hold what is there against the model."""
    dice = random.Random(seed)
    with postgres_server(_DURABLE) as server:
        url = Secret(server.get_uri())
        async with running_control_plane(folder, database_url=url, clock=SystemClock()) as running:
            viewer, manager = running.channel("admin"), running.channel("manager")
            reporters = []
            for number in range(CAMERAS):
                reporter, token = await register(viewer, manager, number)
                reporter.channel = running.channel(token=token.reveal())
                reporters.append(reporter)
            senders = Senders(reporters, dice)
            sending = asyncio.create_task(senders.run())
            for _ in range(kills):
                await senders.acknowledge(dice.randint(CAMERAS, 5 * CAMERAS))
                await _kill(server)
                await senders.be_refused()
                await start_again(server)
            await senders.acknowledge(CAMERAS)
            senders.stop()
            await sending
            stored = []
            for reporter in reporters:
                await reporter.check(viewer)
                assert reporter.history.acknowledged == reporter.history.sent
                stored.append((reporter.history, await reporter.stored(viewer)))
            assert not running.stopping, "a root task did not outlive the outage"
    return Killed(kills=kills, stored=stored)


async def _kill(server: Any) -> None:
    """SIGKILL the postmaster; its children end once they see that it is gone."""
    postmaster = server.get_postmaster_info().process
    children = postmaster.children(recursive=True)
    os.kill(server.get_pid(), signal.SIGKILL)
    gone = [postmaster, *children]
    _, left = await asyncio.to_thread(psutil.wait_procs, gone, timeout=20)
    assert not left, "processes of a killed server are left"
