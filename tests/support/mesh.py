"""The whole mesh in a test: `dfip up` as a process of its own, and REST to talk to it.

Nothing here reaches inside: what a test sees is what an operator sees. The model pack comes from
the user's cache, where the first run makes it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil

SERVICES = ("control_plane", "identity_index", "envoy", "camera_manager", "vision_worker")
_START_S = 60.0
_POLL_S = 0.05


def wait_until(condition: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait for the world to be so; returns the seconds it took, fails the test when it is not."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(_POLL_S)
    return time.monotonic() - began


@dataclass
class Mesh:
    """A running mesh."""

    process: "subprocess.Popen[str]"
    url: str
    data_dir: Path
    media_root: Path
    token: str = field(repr=False)

    def client(self) -> httpx.Client:
        """Return a REST client with the administrator's token."""
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {self.token}"},
            timeout=30,
            trust_env=False,
        )

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return the living processes below `dfip up` by the name of their service."""
        found: dict[str, list[psutil.Process]] = {name: [] for name in SERVICES}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if name := service_of(process):
                found[name].append(process)
        return found

    def everything(self) -> list[psutil.Process]:
        """Return every process of the mesh, `dfip up` first."""
        up = psutil.Process(self.process.pid)
        return [up, *up.children(recursive=True)]

    def is_healthy(self) -> bool:
        """Ask the edge."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a client command against the mesh."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=os.environ
            | {
                "DFIP_SERVER": self.url,
                "DFIP_TOKEN_FILE": str(self.data_dir / "admin.token"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def logs(self) -> str:
        """Return the last lines of every log, for the message of a test that failed."""
        files = [*self.data_dir.glob("logs/*.log"), *self.data_dir.glob("workers/*/worker.log")]
        return "\n".join(f"{file}:\n" + "\n".join(_tail(file)) for file in sorted(files))


def service_of(process: psutil.Process) -> str | None:
    """Return which service a process is, by its command line; None for any other or a dead one."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return None
    if "cli.supervisor.tether" in words:
        return None  # not Envoy yet
    if words and Path(words[0]).name == "envoy":
        return "envoy"
    modules = [after for word, after in pairwise(words) if word == "-m"]
    return modules[0] if modules and modules[0] in SERVICES else None


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended; nobody may be there to collect it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def running_mesh(data_dir: Path, *arguments: str) -> Iterator[Mesh]:
    """Run `dfip up` on a free port until the end of the block; nothing of it is left after."""
    talk = data_dir.with_name(f"{data_dir.name}.err")
    with talk.open("w") as talked:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "cli", "up", "--json"),
                *("--data-dir", str(data_dir), "--http-port", "0", *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=talked,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # comes once the mesh is healthy, or empty at its end
        if not line:
            raise AssertionError(f"dfip up ended with {process.wait()}: {talk.read_text()}")
        where: dict[str, Any] = json.loads(line)
        yield Mesh(
            process=process,
            url=where["url"],
            data_dir=data_dir,
            media_root=Path(where["media_root"]),
            token=Path(where["admin_token_file"]).read_text().strip(),
        )
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _tail(file: Path, lines: int = 15) -> list[str]:
    return file.read_text(errors="replace").splitlines()[-lines:]
