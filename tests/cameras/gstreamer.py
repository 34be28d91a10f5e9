"""Starts the real RTSP server of the tests and tells it what to do; ``rtsp_server.py`` is it.

with rtsp_server(folder) as server:
    url = server.mount("wall", reel)
    server.silence("wall")
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.support.reels import Reel

USER = "viewer"
PASSWORD = "canary-pass-4711"
PACKAGES = (
    "python3-gi",
    "gir1.2-gstreamer-1.0",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
)
_SYSTEM_PYTHON = "/usr/bin/python3"
_PROGRAM = Path(__file__).with_name("rtsp_server.py")
_PROBE = (
    "import gi; gi.require_version('Gst','1.0'); gi.require_version('GstRtspServer','1.0');"
    "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
    "assert all(map(Gst.ElementFactory.find, "
    "['appsrc','h264parse','rtph264pay','rtpjpegpay','alawenc']))"
)


def missing() -> str | None:
    """Return what to do where the server cannot run here; None where it can."""
    try:
        probe = subprocess.run([_SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, check=False)
    except FileNotFoundError:
        return f"These tests need Debian's {_SYSTEM_PYTHON} and: apt-get install {_install()}"
    if probe.returncode:
        return f"These tests need GStreamer's RTSP server: apt-get install {_install()}"
    return None


def _install() -> str:
    return f"-y --no-install-recommends {' '.join(PACKAGES)}"


@dataclass(slots=True, kw_only=True)
class RtspServer:
    """A server that runs."""

    folder: Path
    process: "subprocess.Popen[str]"
    port: int
    guarded_port: int

    def mount(
        self,
        name: str,
        reel: Reel,
        *,
        guarded: bool = False,
        end: Literal["loop", "stall", "end"] = "loop",
        sound: bool = False,
        parse: bool = True,
    ) -> str:
        """Play a reel under a name; return its address, without credentials.

        Args:
            name: last part of the address.
            reel: what is played.
            guarded: ask for the password.
            end: what comes after the reel's last unit.
            sound: an audio track beside it.
            parse: have GStreamer parse the stream, which cleans it too.
        """
        path = reel.write(self.folder / f"{name}.reel")
        self._ask(
            do="mount",
            path=f"/{name}",
            reel=str(path),
            size=reel.size,
            guarded=guarded,
            end=end,
            sound=sound,
            parse=parse,
        )
        return f"rtsp://127.0.0.1:{self.guarded_port if guarded else self.port}/{name}"

    def silence(self, name: str) -> None:
        """Send nothing more, and keep all connections."""
        self._ask(do="silence", path=f"/{name}")

    def speak(self, name: str) -> None:
        """Send again."""
        self._ask(do="speak", path=f"/{name}")

    def finish(self, name: str) -> None:
        """End the stream properly, and whatever stream is asked for later, until ``begin``."""
        self._ask(do="finish", path=f"/{name}")

    def begin(self, name: str) -> None:
        """Have a stream again."""
        self._ask(do="begin", path=f"/{name}")

    def hang_up(self) -> int:
        """Close every connection; return how many."""
        return int(self._ask(do="hang_up")["closed"])

    def sent(self, name: str) -> int:
        """Return how many units went out so far."""
        return int(self._ask(do="sent", path=f"/{name}")["sent"])

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()

    def _ask(self, **wish: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(wish) + "\n")
        self.process.stdin.flush()
        answer = dict(json.loads(self.process.stdout.readline() or '{"error": "it is gone"}'))
        assert "error" not in answer, answer["error"]
        return answer


@contextmanager
def rtsp_server(folder: Path, *, ports: tuple[int, int] = (0, 0)) -> Iterator[RtspServer]:
    """Run a server on two ports, free ones by default, until the end of the block."""
    process = subprocess.Popen(
        [_SYSTEM_PYTHON, str(_PROGRAM), USER, *map(str, ports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{PASSWORD}\n")
        process.stdin.flush()
        bound = json.loads(process.stdout.readline())
        yield RtspServer(
            folder=folder, process=process, port=bound["open"], guarded_port=bound["guarded"]
        )
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and process.poll() is None:
                pipe.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def main() -> int:
    """Say whether the server can run here, or with ``--packages`` what it needs."""
    if "--packages" in sys.argv:
        print(*PACKAGES)  # noqa: T201
        return 0
    what_to_do = missing()
    if what_to_do is not None:
        print(what_to_do)  # noqa: T201
    return int(what_to_do is not None)


if __name__ == "__main__":
    sys.exit(main())
