"""A worker that knows one trick, for tests of the processes and not of what they do.

What it does is in ``DFIP_TEST_TRICK``: `live`, `stubborn` (ignores SIGTERM), `babble` (fills its
log), `breed` (starts a child in its group), `exit:N`. It writes ``ready`` into its folder first.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def main() -> int:
    trick = os.environ.get("DFIP_TEST_TRICK", "live")
    if trick == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if trick == "breed":
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        Path("child").write_text(str(child.pid))
    lifeline = os.environ.get("DFIP_LIFELINE_FD")
    if lifeline:
        threading.Thread(target=end_with, args=(int(lifeline),), daemon=True).start()
    Path("ready.new").write_text(str(os.getpid()))
    Path("ready.new").rename("ready")
    if trick.startswith("exit:"):
        return int(trick.removeprefix("exit:"))
    if trick == "babble":
        while True:
            sys.stdout.write(("x" * 1023 + "\n") * 4)
            sys.stdout.flush()
            time.sleep(0.001)  # it fills a log, not the disk, should nobody end it
    while True:
        signal.pause()


def end_with(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
