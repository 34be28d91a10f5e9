"""A signal ends the work in order; a second one does not wait for order."""

import asyncio
import os
import signal
import sys

import pytest

from cli.failures import CommandFailed
from cli.supervisor.running import until_signal
from tests.unit.cli.supervisor.programs import STUBBORN


async def test_work_that_ends_by_itself_gives_its_result() -> None:
    async def work() -> int:
        return 3

    assert await until_signal(work()) == 3


async def test_work_that_fails_fails_here() -> None:
    async def work() -> None:
        raise CommandFailed("No.")

    with pytest.raises(CommandFailed, match="No"):
        await until_signal(work())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_lets_the_work_clean_up(number: signal.Signals) -> None:
    cleaned_up = False

    async def work() -> None:
        nonlocal cleaned_up
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up = True

    await until_signal(work())
    assert cleaned_up


async def test_a_second_signal_kills_what_the_clean_up_waits_for() -> None:
    async def work() -> None:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", STUBBORN), stderr=asyncio.subprocess.PIPE
        )
        assert child.stderr is not None
        await child.stderr.readline()
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            child.terminate()  # which it does not hear
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
            ends.append(await child.wait())

    ends: list[int] = []
    await until_signal(work())
    assert ends == [-signal.SIGKILL]
