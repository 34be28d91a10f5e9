"""The segments of a camera's playlist (HLS), one after the other, as the file that libav reads.

libav's own reader of playlists opens what they name; this one can only ask the camera itself.
A live list is read from three segments before its end, and asked for again as long as it grows.
Every request, segment and wait is bounded.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.relay.http_camera import HttpCamera
from vision_worker.sources.relay.line import Deadline
from vision_worker.sources.relay.playlist import (
    MOST_BYTES,
    MasterPlaylist,
    MediaPlaylist,
    Segment,
    parse_playlist,
)

_FROM_THE_END: Final = 3
_MOST_SEGMENT: Final = 64 << 20
_MOST_LOST: Final = 3
_SHORTEST_WAIT_S: Final = 0.25


class HlsStream:
    """The media of one playlist.

    Args:
        camera: has answered with the playlist; only it is ever asked.
        origin: scheme, host and port of the camera, as in ``http://host:port``.
        target: path and query of the playlist.
        stall_s: how long the next packet may be waited for, beside what a segment lasts.
    """

    def __init__(self, camera: HttpCamera, *, origin: str, target: str, stall_s: float) -> None:
        self._camera = camera
        self._origin = origin
        self._target = target
        self._stall_s = stall_s
        self._playlist = MediaPlaylist(target_s=1.0, segments=(), ended=False)
        self._next: int | None = None
        self._beginning: str | None = None
        self._began = False
        self._body_left = 0
        self._lost = 0
        self._waiting = memoryview(b"")
        self._waited_s = 0.0
        self._closed = threading.Event()
        self.failure: SourceFailure | None = None

    def open(self, first: bytes, deadline: Deadline) -> str:
        """Read the playlist, the best one of several; blocks. Return the format of its segments.

        Args:
            first: what was read of the answer's body already.
            deadline: until when.

        Raises:
            SourceFailure: it is none, or leads elsewhere.
        """
        playlist = self._parsed(first + self._body(deadline, MOST_BYTES - len(first)))
        if isinstance(playlist, MasterPlaylist):
            self._target = playlist.best
            self._camera.get(self._target, deadline)
            playlist = self._parsed(self._body(deadline, MOST_BYTES))
        if isinstance(playlist, MasterPlaylist):
            raise SourceFailure("not_a_stream")
        self._playlist = playlist
        if not playlist.segments:
            raise SourceFailure("not_a_stream", "The camera's playlist is empty.")
        start = 0 if playlist.ended else max(0, len(playlist.segments) - _FROM_THE_END)
        self._next = playlist.segments[start].number
        return "mpegts" if playlist.segments[start].beginning is None else "mp4"

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, nothing at the end; blocks. Raises `SourceFailure`."""
        try:
            while not self._waiting:
                if not self._body_left:
                    if not self._begin_next():
                        return b""
                    continue
                with self._waits() as deadline:
                    self._waiting = memoryview(self._camera.receive(deadline))
                self._body_left -= len(self._waiting)
                if self._body_left <= 0:
                    raise SourceFailure("not_a_stream", "A segment of the camera is too large.")
                if not self._waiting:
                    self._body_left = 0
        except SourceFailure as failure:
            self.failure = failure
            raise
        out, self._waiting = bytes(self._waiting[:size]), self._waiting[size:]
        return out

    def packet_came(self) -> None:
        """Learn that libav made a packet of what it read."""
        self._waited_s = 0.0

    def interrupt(self) -> None:
        """Have whoever reads wake up, and end; from any thread."""
        self._closed.set()
        self._camera.interrupt()

    def close(self) -> None:
        """End it; safe to call twice."""
        self._closed.set()
        self._camera.close()

    def _begin_next(self) -> bool:
        """Ask for the next segment; return whether there is one."""
        while (segment := self._upcoming()) is None:
            if self._playlist.ended or self._closed.is_set():
                return False
            self._ask_again()
        if segment.beginning == self._beginning:
            self._next, self._began = segment.number + 1, True
            self._fetch(segment.target, most_lost=_MOST_LOST)
            return True
        if self._began or segment.beginning is None:
            raise SourceFailure("ended")  # another encoding: libav has to begin again
        self._beginning = segment.beginning
        self._fetch(segment.beginning, most_lost=0)
        return True

    def _fetch(self, target: str, *, most_lost: int) -> None:
        try:
            with self._waits() as deadline:
                self._camera.get(target, deadline)
        except SourceFailure as failure:
            self._lost += 1  # a live camera may have thrown it away already
            if failure.reason != "not_found" or self._lost > most_lost:
                raise
            return
        self._lost = 0
        self._body_left = _MOST_SEGMENT

    def _upcoming(self) -> Segment | None:
        assert self._next is not None  # noqa: S101 after `open`, for mypy
        return next((one for one in self._playlist.segments if one.number >= self._next), None)

    def _ask_again(self) -> None:
        """Wait for the live list to grow."""
        with self._waits() as deadline:
            wait_s = max(_SHORTEST_WAIT_S, self._playlist.target_s / 2)
            self._closed.wait(min(wait_s, deadline.left_s()))
        with self._waits() as deadline:
            self._camera.get(self._target, deadline)
            playlist = self._parsed(self._body(deadline, MOST_BYTES))
        if isinstance(playlist, MasterPlaylist):
            raise SourceFailure("not_a_stream")
        if _last(playlist) < _last(self._playlist):
            raise SourceFailure("ended")  # the camera began to count again
        self._playlist = playlist

    def _body(self, deadline: Deadline, most: int) -> bytes:
        body = b""
        while data := self._camera.receive(deadline):
            body += data
            if len(body) > most:
                raise SourceFailure("not_a_stream")
        return body

    def _parsed(self, body: bytes) -> MediaPlaylist | MasterPlaylist:
        return parse_playlist(body, url=f"{self._origin}{self._target}")

    @contextmanager
    def _waits(self) -> Iterator[Deadline]:
        """Count what is waited for between two packets; a segment's own length is no stall."""
        began_s = time.monotonic()
        most_s = self._stall_s + self._playlist.target_s
        try:
            yield Deadline(most_s - self._waited_s)
        except SourceFailure as failure:
            if failure.reason == "timeout":
                raise SourceFailure("stalled") from None
            raise
        finally:
            self._waited_s += time.monotonic() - began_s


def _last(playlist: MediaPlaylist) -> int:
    return playlist.segments[-1].number if playlist.segments else -1
