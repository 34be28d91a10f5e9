"""Runs several services together: ordered start, restart of the dead, reverse stop, nobody left.

Knows nothing of what the services do; `mesh.py` says which there are. The lifeline is a pipe whose
reading end every service inherits and whose writing end only this process holds: however this
process dies, the system closes it, and the services see its end.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from cli.supervisor.child import Child, ChildEnded, ChildSpec
from cli.supervisor.log_file import LogFile
from cli.supervisor.orphans import children_of_this, clear_everything_below, collect_dead_orphans
from cli.supervisor.service_log import Echo, open_service_log
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock

STOP_WITHIN_S = 8.5
"""When a stop is over at the latest; the promise to the outside is 10 s."""

_POLL_S = 0.02

T = TypeVar("T")


class Supervision:
    """The services while they run; `supervise` makes and ends it."""

    def __init__(self, clock: Clock) -> None:
        self.children: list[Child] = []
        self.settled = False
        self.stopping = False
        self._clock = clock
        self._tasks: dict[Child, asyncio.Task[None]] = {}

    def pids(self) -> dict[str, int | None]:
        """Return the process id of each service; None while it is between two lives."""
        return {child.spec.name: child.pid for child in self.children}

    def settle(self) -> None:
        """Note that the site was healthy: from now on no number of deaths makes it give up."""
        self.settled = True

    async def start(self) -> None:
        """Start the services in their order, each as soon as it may.

        Raises:
            ChildGaveUp: one of them cannot run.
        """
        for child in self.children:
            if child.spec.start_when is not None:
                await self.unless_broken(self._until(child.spec.start_when))
            self._tasks[child] = asyncio.create_task(child.keep(), name=f"keep {child.spec.name}")

    async def broken(self) -> None:
        """Wait for ever.

        Raises:
            ChildGaveUp: one of the services cannot run.
        """
        done, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def unless_broken(self, wanted: Coroutine[Any, Any, T]) -> T:
        """Return what `wanted` gives, unless a service gives up first.

        Raises:
            ChildGaveUp: one of the services cannot run.
        """
        task = asyncio.create_task(wanted)
        try:
            await asyncio.wait([task, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
            for kept in self._tasks.values():
                if kept.done():
                    kept.result()
            return await task
        finally:
            task.cancel()

    async def stop(self) -> None:
        """Stop the services in reverse order, then kill whatever is left below this process."""
        self.stopping = True
        for child in self.children:
            child.restart_no_more()
        deadline = self._clock.monotonic() + STOP_WITHIN_S
        for child in reversed(self.children):
            await child.stop(deadline - self._clock.monotonic())
            if task := self._tasks.get(child):
                task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        while not await condition():
            await self._clock.sleep(_POLL_S)


@asynccontextmanager
async def supervise(
    specs: Sequence[ChildSpec],
    *,
    logs_dir: Path,
    tell: Callable[[ChildEnded], None],
    echo: Echo,
    clock: Clock,
    backoff: Backoff | None = None,
) -> AsyncIterator[Supervision]:
    """Hold the services: nothing runs before `start`, and nothing is left after the block.

    Args:
        specs: in the order of their start; each environment gets DFIP_LIFELINE_FD.
        logs_dir: gets one log file a service.
        clock: times the restarts.
        tell: told about every process that ends unasked.
        echo: shown what services log as a warning or an error.
        backoff: waits between restarts; by default at most 10 s.
    """
    spared = children_of_this()
    supervision = Supervision(clock)
    async with AsyncExitStack() as stack:
        lifeline = stack.enter_context(_lifeline())
        stack.enter_context(_collecting_orphans(supervision, spared))
        for spec in specs:
            file = LogFile(logs_dir / f"{spec.name}.log")
            log = await stack.enter_async_context(open_service_log(spec.name, file, echo))
            environment = {**spec.environment, "DFIP_LIFELINE_FD": str(lifeline)}
            supervision.children.append(
                Child(
                    replace(spec, environment=environment),
                    output_fd=log.write_fd,
                    inherited_fds=(lifeline,),
                    last_words=log.last_words,
                    clock=clock,
                    backoff=backoff or Backoff(initial_s=0.5, cap_s=10.0),
                    settled=lambda: supervision.settled,
                    tell=tell,
                )
            )
        stack.callback(clear_everything_below, spared)
        stack.push_async_callback(supervision.stop)
        yield supervision


@contextmanager
def _lifeline() -> Iterator[int]:
    read_fd, write_fd = os.pipe()  # neither is inherited, unless a spawn names it
    try:
        yield read_fd
    finally:
        os.close(write_fd)
        os.close(read_fd)


@contextmanager
def _collecting_orphans(supervision: Supervision, spared: frozenset[int]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def is_own(pid: int) -> bool:
        return pid in spared or any(pid == child.pid for child in supervision.children)

    def collect() -> None:
        if any(child.spawning for child in supervision.children):
            loop.call_later(_POLL_S, collect)  # a process is being born whose id is not known yet
        else:
            collect_dead_orphans(is_own)

    loop.add_signal_handler(signal.SIGCHLD, collect)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGCHLD)
