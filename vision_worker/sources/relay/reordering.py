"""Puts packets of RTP that came over UDP back into their order (RFC 3550). Pure.

A packet that is missing is waited for until enough others or enough time have passed; then it is
lost, and what came after it goes on. What comes too late, or twice, is dropped.
"""

from typing import Final

WAIT_S: Final = 0.05
_MOST_HELD: Final = 64
_JUMP: Final = 3000
_LATE_IN_A_ROW: Final = 32


class Reordering:
    """The packets of one stream."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, bytes] = {}
        self._since_s = 0.0
        self._late = 0

    @property
    def due_s(self) -> float | None:
        """Return when waiting for a missing packet ends; None while none is missing."""
        return self._since_s + WAIT_S if self._held else None

    def put(self, packet: bytes, now_s: float) -> list[bytes]:
        """Take a packet of RTP of at least four bytes; return those whose turn it is."""
        number = packet[2] << 8 | packet[3]
        ahead = 0 if self._next is None else (number - self._next) & 0xFFFF
        if ahead >= 0x8000:
            self._late += 1
            if self._late < _LATE_IN_A_ROW:
                return []
            ahead = _JUMP  # the camera began again
        self._late = 0
        if ahead >= _JUMP:
            out = self._all_held()
            self._next = (number + 1) & 0xFFFF
            return [*out, packet]
        if ahead == 0:
            self._next = (number + 1) & 0xFFFF
            return [packet, *self._run()]
        if not self._held:
            self._since_s = now_s
        self._held[number] = packet
        return self._skip() if len(self._held) >= _MOST_HELD else []

    def overdue(self, now_s: float) -> list[bytes]:
        """Return the packets behind one that was waited for long enough."""
        due_s = self.due_s
        if due_s is None or now_s < due_s:
            return []
        self._since_s = now_s
        return self._skip()

    def _skip(self) -> list[bytes]:
        """Give up the packets that are missing before the first that is held."""
        assert self._next is not None  # noqa: S101 something is held, so one was there before
        start = self._next
        self._next = min(self._held, key=lambda number: (number - start) & 0xFFFF)
        return self._run()

    def _run(self) -> list[bytes]:
        out = []
        while self._next is not None and self._next in self._held:
            out.append(self._held.pop(self._next))
            self._next = (self._next + 1) & 0xFFFF
        return out

    def _all_held(self) -> list[bytes]:
        out = []
        while self._held:
            out += self._skip()
        return out
