"""Keeps one service running: starts its process, and starts it again whenever it dies.

The first restart is immediate, later ones wait longer and longer; a minute of life clears the
count. Wrong settings, or dying again and again before the site was ever healthy, end the attempt:
then waiting does not help and a person has to read the sentence. `supervision.py` holds several.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cli.failures import CommandFailed
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock

BAD_SETTINGS = 2
_HEALTHY_AFTER_S = 60.0
_TRIES_AT_START = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """A service to keep running.

    Attributes:
        command: the program, by absolute path, and its arguments.
        environment: the whole environment of the process.
        stop_s: seconds it has after SIGTERM before it is killed.
        start_when: it is started once this says so; without it, at once.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    stop_s: float = 1.5
    start_when: Callable[[], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A service's process ended without being asked to.

    Attributes:
        how: such as `exit status 1` or `killed by SIGKILL`.
        last_words: what it said before, or nothing.
        restart_in_s: when it is started again; 0 is at once.
    """

    name: str
    how: str
    last_words: str
    restart_in_s: float


class ChildGaveUp(CommandFailed):
    """A service cannot run; starting it again would not help."""


class Child:
    """One service's process over all its restarts.

    Args:
        spec: what to run.
        output_fd: where its output goes.
        clock: times the restarts.
        inherited_fds: what else its process inherits, the lifeline above all.
        last_words: asked once after each death.
        backoff: waits between restarts after the first.
        settled: whether the whole site has been healthy once.
        tell: told about each unexpected end.
    """

    def __init__(
        self,
        spec: ChildSpec,
        *,
        output_fd: int,
        inherited_fds: tuple[int, ...],
        last_words: Callable[[], str],
        clock: Clock,
        backoff: Backoff,
        settled: Callable[[], bool],
        tell: Callable[[ChildEnded], None],
    ) -> None:
        self.spec = spec
        self._output_fd = output_fd
        self._inherited_fds = inherited_fds
        self._last_words = last_words
        self._clock = clock
        self._backoff = backoff
        self._settled = settled
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.spawning = False

    @property
    def pid(self) -> int | None:
        """Return the process's id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def keep(self) -> None:
        """Run the service until `stop`.

        Raises:
            ChildGaveUp: its settings are wrong, or it does not survive its start.
        """
        failures = 0
        while not self._stopping:
            process = await self._spawn()
            began = self._clock.monotonic()
            status = await process.wait()
            if self._stopping:
                return
            if self._clock.monotonic() - began >= _HEALTHY_AFTER_S:
                failures = 0
            failures += 1
            words = self._last_words()
            if status == BAD_SETTINGS or (failures >= _TRIES_AT_START and not self._settled()):
                raise ChildGaveUp(self._epitaph(status, words, failures))
            wait_s = 0.0 if failures == 1 else self._backoff.delay(failures - 1)
            self._tell(
                ChildEnded(
                    name=self.spec.name,
                    how=describe_status(status),
                    last_words=words,
                    restart_in_s=wait_s,
                )
            )
            await self._clock.sleep(wait_s)

    def restart_no_more(self) -> None:
        """Take the next end of the process, whatever brings it, as the last one."""
        self._stopping = True

    async def stop(self, within_s: float) -> None:
        """Ask the process to end and wait for it; kill it with its group when it takes too long.

        Args:
            within_s: the time that is left; the service's own limit may be shorter.
        """
        self.restart_no_more()
        process = self._process
        if process is None or process.returncode is not None:
            return
        _signal(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), max(0.0, min(within_s, self.spec.stop_s)))
        except TimeoutError:
            _signal_group(process.pid, signal.SIGKILL)
            await process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        self.spawning = True
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                env=dict(self.spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._output_fd,
                stderr=self._output_fd,
                pass_fds=self._inherited_fds,
                cwd="/",  # so that no folder stays busy because of it
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops them in order
            )
        except OSError as error:
            raise ChildGaveUp(
                f"{self.spec.name} cannot be started: {self.spec.command[0]}: {error.strerror}."
            ) from None
        finally:
            self.spawning = False
        return self._process

    def _epitaph(self, status: int, words: str, failures: int) -> str:
        words = words.removeprefix(f"{self.spec.name}: ")
        said = f": {words}" if words else f" ({describe_status(status)})."
        if status == BAD_SETTINGS:
            return f"{self.spec.name} cannot start{said}"
        return f"{self.spec.name} ended {failures} times while starting{said}"


def describe_status(status: int) -> str:
    """Return how a process ended, for people; negative is the signal, as in `subprocess`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        _signal(pid, number)
