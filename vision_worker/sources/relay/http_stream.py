"""What a camera of HTTP sends, as the file that libav reads; libav itself connects to nothing.

Every failure is raised by the reading itself, in the camera's own words, and passes through libav.
A camera that sends something, but no picture, stalls like one that sends nothing.
"""

import time

from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.relay.http_camera import HttpCamera
from vision_worker.sources.relay.line import Deadline


class HttpStream:
    """The body of one answer.

    Args:
        camera: has answered.
        first: what was read of the body already.
        stall_s: how long the next packet may be waited for.
    """

    def __init__(self, camera: HttpCamera, first: bytes, stall_s: float) -> None:
        self._camera = camera
        self._waiting = memoryview(first)
        self._stall_s = stall_s
        self._waited_s = 0.0
        self.failure: SourceFailure | None = None

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, nothing at the end; blocks. Raises `SourceFailure`."""
        if not self._waiting:
            began_s = time.monotonic()
            try:
                deadline = Deadline(self._stall_s - self._waited_s)
                self._waiting = memoryview(self._camera.receive(deadline))
            except SourceFailure as failure:
                reason = "stalled" if failure.reason == "timeout" else failure.reason
                self.failure = SourceFailure(reason)
                raise self.failure from None
            finally:
                self._waited_s += time.monotonic() - began_s
        out, self._waiting = bytes(self._waiting[:size]), self._waiting[size:]
        return out

    def packet_came(self) -> None:
        """Learn that libav made a packet of what it read."""
        self._waited_s = 0.0

    def interrupt(self) -> None:
        """Have whoever reads wake up, and end; from any thread."""
        self._camera.interrupt()

    def close(self) -> None:
        """End it; safe to call twice."""
        self._camera.close()
