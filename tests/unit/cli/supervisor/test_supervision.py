"""Services die, refuse to start and refuse to end; the processes here are real."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cli.supervisor.child import ChildEnded, ChildGaveUp, ChildSpec
from cli.supervisor.log_lines import LogLine
from cli.supervisor.supervision import Supervision, supervise
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock, SystemClock
from tests.support.virtual_clock import VirtualClock
from tests.unit.cli.supervisor.programs import (
    HOLDS_LIFELINE,
    LIVES,
    NOTES_ITS_END,
    STUBBORN,
    program,
)


@dataclass
class Heard:
    """What the supervision told, and a bell for each piece of news."""

    ends: "asyncio.Queue[ChildEnded]" = field(default_factory=asyncio.Queue)
    echoes: "asyncio.Queue[tuple[str, LogLine]]" = field(default_factory=asyncio.Queue)

    def tell(self, ended: ChildEnded) -> None:
        self.ends.put_nowait(ended)

    def echo(self, name: str, line: LogLine) -> None:
        self.echoes.put_nowait((name, line))


@asynccontextmanager
async def running(
    specs: Sequence[ChildSpec], logs: Path, heard: Heard, clock: Clock | None = None
) -> AsyncIterator[Supervision]:
    backoff = Backoff(initial_s=4, cap_s=10, rng=random.Random(7))
    async with supervise(
        specs,
        logs_dir=logs,
        tell=heard.tell,
        echo=heard.echo,
        clock=clock or SystemClock(),
        backoff=backoff,
    ) as supervision:
        yield supervision


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does; the test's timeout bounds it."""
    while not condition():  # noqa: ASYNC110 - the condition is another process's, without a bell
        await asyncio.sleep(0.01)


def pid_of(supervision: Supervision, name: str) -> int:
    pid = supervision.pids()[name]
    assert pid is not None
    return pid


async def test_a_killed_service_is_started_again_at_once(tmp_path: Path) -> None:
    heard = Heard()
    async with running([program("one", LIVES)], tmp_path, heard) as supervision:
        await supervision.start()
        supervision.settle()
        await until(lambda: supervision.pids()["one"] is not None)
        first = pid_of(supervision, "one")
        os.kill(first, signal.SIGKILL)
        ended = await heard.ends.get()
        await until(lambda: supervision.pids()["one"] not in {None, first})
    assert (ended.name, ended.how, ended.restart_in_s) == ("one", "killed by SIGKILL", 0.0)


async def test_later_restarts_wait_longer_and_a_minute_of_life_clears_the_count(
    tmp_path: Path,
) -> None:
    heard, clock = Heard(), VirtualClock()
    async with running([program("one", LIVES)], tmp_path, heard, clock) as supervision:
        await supervision.start()
        supervision.settle()
        waits = []
        for _ in range(4):
            await until(lambda: supervision.pids()["one"] is not None)
            os.kill(pid_of(supervision, "one"), signal.SIGKILL)
            waits.append((await heard.ends.get()).restart_in_s)
            await clock.advance(10)
        await until(lambda: supervision.pids()["one"] is not None)
        await clock.advance(61)
        os.kill(pid_of(supervision, "one"), signal.SIGKILL)
        after_health = (await heard.ends.get()).restart_in_s
    draw = random.Random(7)
    assert waits == [0.0, draw.uniform(0, 4), draw.uniform(0, 8), draw.uniform(0, 10)]
    assert after_health == 0.0


async def test_nothing_is_started_before_its_wait_is_over(tmp_path: Path) -> None:
    heard, clock = Heard(), VirtualClock()
    waited = 0

    async def waited_a_second() -> bool:
        nonlocal waited
        waited += 1
        return clock.monotonic() >= 1

    last = ChildSpec(
        name="last",
        command=(sys.executable, "-S", "-c", LIVES),
        environment={},
        start_when=waited_a_second,
    )
    async with running([program("first", LIVES), last], tmp_path, heard, clock) as supervision:
        starting = asyncio.create_task(supervision.start())
        await until(lambda: supervision.pids()["first"] is not None)
        await clock.advance(0.9)
        assert supervision.pids()["last"] is None
        assert not starting.done()
        await clock.advance(0.2)
        await starting
        await until(lambda: supervision.pids()["last"] is not None)
    assert waited > 10


async def test_wrong_settings_end_the_attempt_with_the_services_own_sentence(
    tmp_path: Path,
) -> None:
    source = "import sys; print('one: DFIP_PACK is not set', file=sys.stderr); sys.exit(2)"
    heard = Heard()
    async with running([program("one", source)], tmp_path, heard) as supervision:
        await supervision.start()
        with pytest.raises(ChildGaveUp) as gave_up:
            await supervision.broken()
    assert gave_up.value.sentence == "one cannot start: DFIP_PACK is not set"
    assert heard.ends.empty()


async def test_dying_three_times_before_the_site_was_healthy_ends_the_attempt(
    tmp_path: Path,
) -> None:
    source = 'import sys; print(\'{"event": "lost", "level": "error"}\', file=sys.stderr); 1/0'
    heard, clock = Heard(), VirtualClock()
    async with running([program("one", source)], tmp_path, heard, clock) as supervision:
        await supervision.start()
        broken = asyncio.create_task(supervision.broken())
        for _ in range(2):
            ended = await heard.ends.get()
            assert ended.how == "exit status 1"
            await clock.advance(ended.restart_in_s + 1)
        with pytest.raises(ChildGaveUp, match="one ended 3 times while starting: ZeroDivision"):
            await broken
    name, line = heard.echoes.get_nowait()
    assert (name, line.level, line.text) == ("one", "error", "lost")
    assert "ZeroDivisionError" in (tmp_path / "one.log").read_text()


async def test_a_program_that_cannot_be_started_is_said_by_name(tmp_path: Path) -> None:
    missing = ChildSpec(name="edge", command=(str(tmp_path / "no"),), environment={})
    async with running([missing], tmp_path, Heard()) as supervision:
        await supervision.start()
        with pytest.raises(ChildGaveUp, match=r"edge cannot be started: .*No such file"):
            await supervision.broken()


async def test_services_stop_in_reverse_order(tmp_path: Path) -> None:
    order = tmp_path / "order"
    names = ["control_plane", "index", "edge", "manager"]
    specs = [program(name, NOTES_ITS_END, str(order), name) for name in names]
    logs = [tmp_path / f"{name}.log" for name in names]
    async with running(specs, tmp_path, Heard()) as supervision:
        await supervision.start()
        await until(lambda: all(log.exists() and log.read_text() == "ready\n" for log in logs))
    assert order.read_text().split() == ["manager", "edge", "index", "control_plane"]


async def test_a_service_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import signal; signal.pause()'])\n"
        "print('started', child.pid, file=sys.stderr, flush=True)\n" + STUBBORN
    )
    log = tmp_path / "one.log"
    async with running([program("one", source, stop_s=0.2)], tmp_path, Heard()) as supervision:
        await supervision.start()
        await until(lambda: log.exists() and "deaf" in log.read_text())
        pid = pid_of(supervision, "one")
    grandchild = int(log.read_text().split()[1])
    assert not psutil.pid_exists(pid)
    await until(lambda: _is_gone(grandchild))


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_the_lifeline_breaks_when_the_supervisor_dies(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from cli.supervisor.supervision import supervise
from service_runtime.clock import SystemClock
from tests.unit.cli.supervisor.programs import program

async def main():
    specs = [program("one", {HOLDS_LIFELINE!r}), program("two", {HOLDS_LIFELINE!r})]
    async with supervise(
        specs, logs_dir=Path(sys.argv[1]), tell=print, echo=print, clock=SystemClock()
    ) as supervision:
        await supervision.start()
        while None in supervision.pids().values():
            await asyncio.sleep(0.01)
        print(*supervision.pids().values(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    pids = [int(word) for word in (await supervisor.stdout.readline()).split()]
    assert len(pids) == 2
    assert not any(_is_gone(pid) for pid in pids)
    supervisor.kill()
    await supervisor.wait()
    for pid in pids:
        await until(lambda pid=pid: _is_gone(pid))  # type: ignore[misc] # mypy cannot infer a lambda with a default
