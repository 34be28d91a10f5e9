"""Tiny programs that stand for services: real processes, ended by what ends a real one."""

import sys
from collections.abc import Sequence

from cli.supervisor.child import ChildSpec

LIVES = "import signal; signal.pause()"
"""Runs until a signal ends it."""

NOTES_ITS_END = """
import signal, sys

def end(*_):
    with open(sys.argv[1], "a") as order:
        print(sys.argv[2], file=order)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print("ready", file=sys.stderr, flush=True)
signal.pause()
"""
"""On SIGTERM adds its name to a file and ends; arguments: the file, the name."""

STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", file=sys.stderr, flush=True)
while True: signal.pause()
"""
"""Does not hear SIGTERM."""

HOLDS_LIFELINE = """
import os
os.read(int(os.environ["DFIP_LIFELINE_FD"]), 1)
"""
"""Ends when the lifeline does."""


def program(name: str, source: str, *arguments: str, stop_s: float = 5.0) -> ChildSpec:
    """Return a service whose program is Python source."""
    command: Sequence[str] = (sys.executable, "-S", "-c", source, *arguments)
    return ChildSpec(name=name, command=tuple(command), environment={}, stop_s=stop_s)
