"""The whole mesh as one thing that starts, gets healthy and ends; `dfip up` and `dfip demo` use it.

Prepares the model pack if it has to, then hands `mesh.py`'s processes to `supervision.py`, and puts
what happens to them into sentences.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, TypeVar

from cli.failures import CommandFailed, ExitCode
from cli.supervisor.child import ChildEnded
from cli.supervisor.health import until_healthy
from cli.supervisor.log_lines import LogLine
from cli.supervisor.mesh import mesh_children
from cli.supervisor.orphans import adopt_orphans, kill_everything_below
from cli.supervisor.site import Site
from cli.supervisor.supervision import Supervision, supervise
from cli.talk import Talk, Tone
from service_runtime.clock import SystemClock

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_QUIET_S = 30.0

T = TypeVar("T")


class RunningMesh:
    """The mesh while its processes run."""

    def __init__(self, site: Site, supervision: Supervision) -> None:
        self.site = site
        self._supervision = supervision

    async def start(self) -> None:
        """Start every service and wait until all of them serve.

        Raises:
            CommandFailed: a service cannot run; the sentence is its own.
        """
        await self._supervision.start()
        await self._supervision.unless_broken(
            until_healthy(self.site.client_host, self.site.http_port, SystemClock())
        )
        self._supervision.settle()

    async def until_broken(self) -> None:
        """Wait for ever.

        Raises:
            CommandFailed: a service cannot run; the sentence is its own.
        """
        await self._supervision.broken()


@asynccontextmanager
async def running_mesh(site: Site, talk: Talk) -> AsyncIterator[RunningMesh]:
    """Hold the mesh: `start` starts it, and no process of it is left after the block."""
    clock = SystemClock()
    said_at: dict[tuple[str, str], float] = {}

    def echo(name: str, line: LogLine) -> None:
        # services that look for each other at the start and at the end warn of what is no trouble
        if line.level != "error" and not (supervision.settled and not supervision.stopping):
            return
        # a service that tries again and again says so as often; once is enough for people
        now, topic = clock.monotonic(), (name, line.text.partition(" ")[0])
        if line.level != "error" and now - said_at.get(topic, -_QUIET_S) < _QUIET_S:
            return
        said_at[topic] = now
        tone: Tone = "error" if line.level == "error" else "warning"
        talk.say(f"{_now()} {name} {line.level}: {line.text}", tone)

    def tell(ended: ChildEnded) -> None:
        words = f" ({ended.last_words})" if ended.last_words else ""
        when = f"in {ended.restart_in_s:.1f} s" if ended.restart_in_s else "at once"
        talk.say(
            f"{_now()} {ended.name} ended: {ended.how}{words}. It is started again {when}; "
            f"its log is {site.logs_dir / ended.name}.log",
            "warning",
        )

    adopt_orphans()
    async with supervise(
        mesh_children(site), logs_dir=site.logs_dir, tell=tell, echo=echo, clock=clock
    ) as supervision:
        yield RunningMesh(site, supervision)


def prepare_pack_for(pack_id: str, talk: Talk) -> None:
    """Make the models of a pack unless they are there; shows how far it is.

    Raises:
        CommandFailed: no such pack, or a file that it needs is missing or damaged.
    """
    from face_engine.errors import PackError, PackUnknown
    from face_engine.preparation import is_prepared, prepare_pack

    try:
        if is_prepared(pack_id):
            return
        with _pack_progress(pack_id, talk) as progress:
            prepare_pack(pack_id, progress=progress)
    except PackUnknown as error:
        raise CommandFailed(str(error), code=ExitCode.USAGE) from None
    except PackError as error:
        raise CommandFailed(str(error)) from None


async def until_signal(work: Coroutine[Any, Any, T]) -> T | None:
    """Run `work` to its end, or until somebody wants this process to end.

    The first SIGINT, SIGTERM or SIGHUP cancels the work, whose clean-up stops what it started; the
    second kills every process below this one, so that the clean-up has nothing left to wait for.

    Returns:
        What the work returned; None where a signal ended it.
    """
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)
    signalled = False

    def stop() -> None:
        nonlocal signalled
        if signalled:
            kill_everything_below()
        else:
            signalled = True
            task.cancel()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        await asyncio.wait([task])
    finally:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)
    return None if task.cancelled() else task.result()


@contextmanager
def _pack_progress(pack_id: str, talk: Talk) -> Iterator[Callable[[str, float], None]]:
    if not sys.stderr.isatty():
        talk.say(f"Preparing the model pack {pack_id}; this is done once.")
        yield lambda _step, _fraction: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(f"Preparing the model pack {pack_id} (once)", total=1.0)
        yield lambda _step, fraction: bar.update(shown, completed=fraction)


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
