"""Waiting for real processes: by events, by files that appear, by ends; never by guessed times."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import psutil

from camera_manager.runtimes.port import WorkerSpec
from camera_manager.runtimes.process import ProcessRuntime
from camera_manager.runtimes.worker_calls import Answer
from service_runtime.clock import Clock
from service_runtime.secret import Secret

STAND_IN = Path(__file__).with_name("stand_in_worker.py")
PATIENCE_S = 30.0
CANARY = "canary-token-5f1c"


async def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Poll the world until it is as it should be; the time is only how often we look."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 another process' world has no event to wait for
            await asyncio.sleep(0.005)


def living(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def zombies() -> list[int]:
    """Return the dead children that nobody reaped."""
    return [
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.status() == psutil.STATUS_ZOMBIE
    ]


def spec(camera_id: str, epoch: int = 1) -> WorkerSpec:
    return WorkerSpec(camera_id=camera_id, epoch=epoch, generation=1, token=Secret(CANARY))


class Calls:
    """Stands for the calls to workers, and for what shared ones hold.

    Args:
        taken: Whether workers take the wish to be drained.
    """

    def __init__(self, *, taken: bool = False) -> None:
        self.taken = taken
        self.targets: list[str] = []
        self.held: dict[str, dict[str, str]] = {}  # by target: cameras, each with its ending
        self.tokens: list[str] = []
        self.dropped: list[str] = []
        self.answer = Answer.DONE

    async def drain(self, target: str, *, reason: str) -> bool:
        assert reason
        self.targets.append(target)
        return self.taken

    async def take(self, target: str, *, camera_id: str, token: Secret) -> Answer:
        if self.answer is Answer.DONE:
            self.tokens.append(token.reveal())
            self.held.setdefault(target, {})[camera_id] = ""
        return self.answer

    async def drop(self, target: str, *, camera_id: str, reason: str, deadline_s: float) -> Answer:
        assert reason
        assert deadline_s > 4
        if self.answer is Answer.DONE:
            self.dropped.append(camera_id)
            self.held.get(target, {}).pop(camera_id, None)
        return self.answer

    async def cameras(self, target: str) -> Mapping[str, str] | None:
        return dict(self.held[target]) if self.answer is Answer.DONE else None


def make_runtime(
    folder: Path,
    clock: Clock,
    *,
    trick: str = "live",
    calls: Calls | None = None,
    lifeline_fd: int | None = None,
    log_max_bytes: int = 64 * 1024,
    cameras_per_worker: int = 1,
) -> ProcessRuntime:
    return ProcessRuntime(
        command=[sys.executable, str(STAND_IN)],
        environment={"PATH": os.environ["PATH"], "DFIP_TEST_TRICK": trick},
        workers_dir=folder / "workers",
        sockets_dir=folder / "s",
        lifeline_fd=lifeline_fd,
        calls=calls or Calls(),
        clock=clock,
        log_max_bytes=log_max_bytes,
        cameras_per_worker=cameras_per_worker,
    )


async def ready_pid(folder: Path, camera_id: str) -> int:
    """Wait until a worker runs and return its process id."""
    path = folder / "workers" / camera_id / "ready"
    await until(path.exists)
    return int(path.read_text())


@contextlib.contextmanager
def all_ended() -> Iterator[list[int]]:
    """Kill the listed processes at the end, so that a failing test leaves none behind."""
    pids: list[int] = []
    try:
        yield pids
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.asynccontextmanager
async def opened(runtime: ProcessRuntime) -> AsyncIterator[list[str]]:
    """Open a runtime, collect the cameras whose workers end, kill what is left at the end."""
    ended: list[str] = []
    await runtime.open(ended.append)
    try:
        yield ended
    finally:
        await runtime.close(grace_s=0)
