"""Runs a program that knows nothing of the lifeline so that it ends with the process above it.

`python -m cli.supervisor.tether PARENT PROGRAM ARGUMENT…` asks the kernel to kill this process when
its parent dies, then becomes the program; the wish outlives exec (Linux, prctl(2),
PR_SET_PDEATHSIG). Elsewhere it only becomes the program. The supervisor uses it for Envoy; the
project's own services read the lifeline themselves.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the program."""
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the wish was in force
        sys.exit(1)
    try:
        os.execv(program[0], program)  # noqa: S606 - becoming the given program is the purpose
    except OSError as error:
        sys.exit(f"{program[0]} cannot be started: {error.strerror}.")


if __name__ == "__main__":
    main(sys.argv[1:])
