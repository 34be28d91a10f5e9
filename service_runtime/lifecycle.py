"""How a service process lives and ends.

``run_service`` runs a room's ``main`` on uvloop. The process ends when it is told to (SIGTERM,
SIGINT), when one of its root tasks dies, or when its lifeline breaks: the read end of a pipe whose
write end only the site's supervisor holds, so that even SIGKILL of the supervisor leaves nothing
running. What was started is stopped in reverse order.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import uvloop

from service_runtime.metrics import serve_metrics
from service_runtime.server import ListenError
from service_runtime.settings import PREFIX, SettingsError
from service_runtime.structured_logging import LEVELS, configure_logging, get_logger

STOPPED: Final = 0
FAILED: Final = 1
BAD_SETTINGS: Final = 2

_LIFELINE = f"{PREFIX}LIFELINE_FD"
_LOG_LEVEL = f"{PREFIX}LOG_LEVEL"
_METRICS_PORT = f"{PREFIX}METRICS_PORT"
_ORPHAN_GRACE_S = 8.0

_log = get_logger(__name__)


class StartError(Exception):
    """A service that cannot start, and one clear sentence why."""


class Lifecycle:
    """What a running service holds on to.

    ``stack`` closes what was opened, last first. ``stopping`` is set when the end has come.
    """

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.stack = AsyncExitStack()
        self.exit_status = STOPPED
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a root task; when it crashes, the service stops with status 1."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def stop(self, exit_status: int = STOPPED) -> None:
        """Begin the end; the first status that is not 0 wins."""
        self.exit_status = self.exit_status or exit_status
        self.stopping.set()

    async def wait_for_stop(self) -> None:
        """Wait until the end has come."""
        await self.stopping.wait()

    async def close(self) -> None:
        """Cancel the root tasks and close what was opened, last first."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stack.aclose()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("task.crashed", task=task.get_name(), exc_info=error)
            self.stop(FAILED)


def run_service(room: str, main: Callable[[Lifecycle], Awaitable[None]]) -> int:
    """Run ``main`` until the service ends; return the exit status of the process.

    ``main`` starts the service and returns when ``lifecycle.wait_for_stop`` does.
    """
    os.umask(0o077)  # what a service writes, its sockets included, is its own user's alone
    level = os.environ.get(_LOG_LEVEL, "info").lower()
    configure_logging(room, level if level in LEVELS else "info")
    try:
        return uvloop.run(_live(room, main, os.environ))
    except SettingsError as error:
        _say(room, f"the settings are not right: {error}")
        return BAD_SETTINGS
    except (StartError, ListenError) as error:
        _say(room, str(error))
        return BAD_SETTINGS if isinstance(error, StartError) else FAILED


async def _live(
    room: str, main: Callable[[Lifecycle], Awaitable[None]], environ: Mapping[str, str]
) -> int:
    lifecycle = Lifecycle()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lifecycle.stop)
    if environ.get(_LIFELINE):
        _hold_lifeline(int(environ[_LIFELINE]), loop, lifecycle)
    if environ.get(_METRICS_PORT):
        serve_metrics(int(environ[_METRICS_PORT]))
    _log.info("service.starting", pid=os.getpid())
    try:
        await main(lifecycle)
    finally:
        await lifecycle.close()
    _log.info("service.stopped", room=room, exit_status=lifecycle.exit_status)
    return lifecycle.exit_status


def _hold_lifeline(descriptor: int, loop: asyncio.AbstractEventLoop, lifecycle: Lifecycle) -> None:
    """Stop the service when the other end of the pipe is gone, whatever state the loop is in."""

    def watch() -> None:
        while os.read(descriptor, 1):
            pass
        loop.call_soon_threadsafe(lifecycle.stop)
        time.sleep(_ORPHAN_GRACE_S)
        os._exit(FAILED)  # the loop hangs; nobody is left to end us

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _say(room: str, sentence: str) -> None:
    """Tell the operator and the log in one line."""
    _log.error("service.cannot_start", sentence=sentence)
    print(f"{room}: {sentence}", file=sys.stderr)  # noqa: T201 for whoever started it by hand
