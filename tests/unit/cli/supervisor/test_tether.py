"""A tethered program ends with its parent, however the parent ends."""

import asyncio
import os
import subprocess
import sys

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")

_PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "cli.supervisor.tether", str(os.getpid()),
                          sys.executable, "-S", "-c", "print('up', flush=True)\\nimport signal\\n"
                          "signal.pause()"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


async def test_a_tethered_program_dies_with_its_parent() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    program = psutil.Process(int(await parent.stdout.readline()))
    assert program.is_running()
    parent.kill()
    await parent.wait()
    while program.is_running() and program.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - no bell
        await asyncio.sleep(0.01)


def test_a_program_whose_parent_is_gone_already_does_not_start() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "cli.supervisor.tether", "1", sys.executable, "-c", "print('ran')"],
        capture_output=True,
        check=False,
    )
    assert os.getpid() != 1
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_a_missing_program_is_a_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "cli.supervisor.tether", str(os.getpid()), "/no/such/program"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "/no/such/program cannot be started: No such file or directory.\n"
