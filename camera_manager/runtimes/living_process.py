"""One worker process: watched to its end, signalled as a group, told apart from its namesakes.

A process is held by a pidfd, so that its end wakes the event loop and no signal can ever hit a
later process with the same id. Children are reaped here; adopted processes, whose parent is gone,
are reaped by whoever inherited them, and their exit status is not known.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from camera_manager.runtimes.port import EndKind
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

_SAME_MOMENT_S = 2.0  # the kernel's boot time, on which creation times rest, moves with the clock
_SHELL_SIGNAL_BASE = 128
_ENDING_SIGNALS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

CAMERA_VARIABLE = "DFIP_CAMERA_ID"
SLOT_VARIABLE = "DFIP_WORKER_SLOT"


class LivingProcess:
    """A worker process that leads a session, and so a process group, of its own.

    Args:
        pid: Its id.
        child: How it was started; None where it was adopted.
    """

    def __init__(self, pid: int, child: "subprocess.Popen[bytes] | None" = None) -> None:
        self.pid = pid
        self.ended = asyncio.Event()
        self.exit_status: int | None = None
        self._child = child
        self._pidfd = -1

    def watch(self, on_end: Callable[[], None]) -> None:
        """Have ``on_end`` called, once, in this event loop, when the process has ended.

        Raises:
            ProcessLookupError: It ended and was reaped already.
        """
        self._pidfd = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._note_end, on_end)

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM)."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all that it started (SIGKILL)."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def release(self) -> None:
        """Stop watching a process that turned out to be somebody else's."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _note_end(self, on_end: Callable[[], None]) -> None:
        self.release()
        # Before the child is reaped its id cannot be anybody else's, and while its group has
        # members the kernel gives the id to nobody: what is left of the group is the worker's.
        if self._child is not None or not psutil.pid_exists(self.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        if self._child is not None:
            self.exit_status = self._child.wait()  # it has ended: this does not wait
        self.ended.set()
        on_end()


def classify_exit(status: int | None) -> EndKind:
    """Say why a worker ended; ``status`` is as in ``Popen.returncode``, None where unknown.

    A worker exits with 0 when it was drained, 2 when its settings are wrong, 3 when its token was
    refused, 4 when it found itself hanging, 5 when it took more memory than it may.
    """
    by_contract = {
        0: EndKind.DRAINED,
        2: EndKind.BAD_SETTINGS,
        3: EndKind.TOKEN_REFUSED,
        4: EndKind.HUNG,
        5: EndKind.OUT_OF_MEMORY,
    }
    if status in by_contract:
        return by_contract[status]
    if status is None:
        return EndKind.CRASHED
    number = -status if status < 0 else status - _SHELL_SIGNAL_BASE
    return EndKind.KILLED if number in _ENDING_SIGNALS else EndKind.CRASHED


def create_time_of(pid: int) -> float:
    """Return when a process was created, in seconds, as the kernel has it.

    Raises:
        ProcessLookupError: It is gone.
    """
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        raise ProcessLookupError(pid) from None


def is_worker(pid: int, *, name: str, folder: Path, create_time: float) -> bool:
    """Say whether a process lives, is as old as its record says, and is the one of this name.

    The name is that of its camera, or of its slot where it is shared.
    """
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - create_time) > _SAME_MOMENT_S:
            return False
        return _works_as(process, name, folder)
    except psutil.Error:
        return False


def end_strays(workers_dir: Path, *, adopted: frozenset[int]) -> list[int]:
    """Kill workers that live below a folder and have no record; return their process ids.

    A manager that dies between starting a worker and noting it leaves such a one. Blocks until
    they are gone; call it off the event loop.
    """
    strays = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            folder = Path(process.cwd())
            if folder.parent != workers_dir or os.getsid(process.pid) in adopted:
                continue
            if _works_as(process, folder.name, folder):
                process.kill()
                strays.append(process)
    psutil.wait_procs(strays, timeout=5)
    return [process.pid for process in strays]


async def end_gently(
    process: LivingProcess, *, ask: Callable[[], Awaitable[bool]], grace_s: float, clock: Clock
) -> None:
    """End a process and return once it is gone.

    Args:
        process: Which.
        ask: Asks it to end and says whether it took the wish; else it gets SIGTERM.
        grace_s: How long it may take before it is killed with its group; 0 kills it at once.
        clock: Where time comes from.
    """
    if grace_s > 0 and not process.ended.is_set():
        asking = asyncio.create_task(_ask_or_terminate(process, ask))
        patience = asyncio.create_task(clock.sleep(grace_s))
        ended = asyncio.create_task(process.ended.wait())
        try:
            await asyncio.wait({patience, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (asking, patience, ended):
                task.cancel()
    if not process.ended.is_set():
        if grace_s > 0:
            _log.warning("worker.killed", pid=process.pid, grace_s=grace_s)
        process.kill()
        await process.ended.wait()


async def _ask_or_terminate(process: LivingProcess, ask: Callable[[], Awaitable[bool]]) -> None:
    if not await ask():
        process.terminate()


def _works_as(process: psutil.Process, name: str, folder: Path) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE or Path(process.cwd()) != folder:
        return False
    environment = process.environ()
    return name in {environment.get(CAMERA_VARIABLE), environment.get(SLOT_VARIABLE)}
