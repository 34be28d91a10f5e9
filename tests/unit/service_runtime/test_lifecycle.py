"""A service process from the outside: how it starts, stops, and ends with its supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import sys
from dataclasses import dataclass
from service_runtime.lifecycle import Lifecycle, StartError, run_service
from service_runtime.settings import load_settings

@dataclass(frozen=True, kw_only=True)
class Settings:
    mode: str

async def crash():
    raise RuntimeError("boom rtsp://u:hunter2@h/")

async def main(lifecycle: Lifecycle) -> None:
    settings = load_settings(Settings)
    if settings.mode == "cannot":
        raise StartError("the pack is not prepared; run `dfip up`")
    for name in ("first", "second"):
        lifecycle.stack.callback(print, "closed", name, flush=True)
    if settings.mode == "crash":
        lifecycle.spawn("crash", crash())
    print("ready", flush=True)
    await lifecycle.wait_for_stop()

sys.exit(run_service("example", main))
"""


class Process:
    """One run of the program above."""

    def __init__(self, mode: str | None, *, lifeline: int | None = None) -> None:
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
        environ.pop("DFIP_MODE", None)
        if mode is not None:
            environ["DFIP_MODE"] = mode
        if lifeline is not None:
            environ["DFIP_LIFELINE_FD"] = str(lifeline)
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=() if lifeline is None else (lifeline,),
        )

    def wait_ready(self) -> None:
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "ready\n"

    def finish(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=20)
        return self.popen.returncode, out, err


@pytest.fixture
def lifeline() -> Iterator[tuple[int, list[int]]]:
    read_end, write_end = os.pipe()
    open_ends = [write_end]
    yield read_end, open_ends
    for descriptor in (read_end, *open_ends):
        os.close(descriptor)


def test_sigterm_stops_in_reverse_order() -> None:
    process = Process("run")
    process.wait_ready()
    process.popen.send_signal(signal.SIGTERM)
    status, out, _ = process.finish()
    assert (status, out) == (0, "closed second\nclosed first\n")


def test_a_crashed_root_task_ends_the_service_and_says_so() -> None:
    process = Process("crash")
    status, out, err = process.finish()
    assert status == 1
    assert "closed first" in out
    assert "task.crashed" in err
    assert "hunter2" not in err


def test_wrong_settings_are_one_sentence() -> None:
    status, _, err = Process(None).finish()
    assert status == 2
    assert err.splitlines()[-1] == "example: the settings are not right: DFIP_MODE is not set"
    assert "Traceback" not in err


def test_a_service_that_cannot_start_is_one_sentence() -> None:
    status, _, err = Process("cannot").finish()
    assert status == 2
    assert err.splitlines()[-1] == "example: the pack is not prepared; run `dfip up`"
    assert "Traceback" not in err


def test_a_service_ends_with_its_lifeline(lifeline: tuple[int, list[int]]) -> None:
    read_end, open_ends = lifeline
    process = Process("run", lifeline=read_end)
    process.wait_ready()
    os.close(open_ends.pop())
    status, out, _ = process.finish()
    assert (status, out) == (0, "closed second\nclosed first\n")


def test_what_a_service_writes_is_its_users_alone() -> None:
    process = Process("run")
    process.wait_ready()
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    process.popen.send_signal(signal.SIGTERM)
    assert process.finish()[0] == 0
    assert "Umask:\t0077\n" in status
