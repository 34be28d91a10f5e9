"""Ends a process that hangs or has grown too large, so that whoever started it starts it again.

A model that never returns, a decoder that is stuck in a stream and an event loop that is blocked
look alike from outside: cameras that have gone silent. From within they can be told apart and
named. Where the loop still turns, the cameras report what is left first. A thread of its own looks
whether it does. The exit status tells the manager why; ``assembly`` wires it.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

HUNG: Final = 4
"""Exit status of a worker that found itself hanging."""
OUT_OF_MEMORY: Final = 5
"""Exit status of a worker that took more memory than it may."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is too much.

    Attributes:
        stuck_s: seconds that one step of a thread may take.
        memory_bytes: resident memory of the process; 0 is any.
        look_every_s: how often it looks.
        farewell_s: how long the cameras have to report what is left.
    """

    stuck_s: float = 60.0
    memory_bytes: int = 0
    look_every_s: float = 5.0
    farewell_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The process at one moment.

    Attributes:
        inference_s: how long the present work of the models takes.
        decoding_s: how long each camera's decoder is in its present step, by camera.
        memory_bytes: resident.
    """

    inference_s: float
    decoding_s: dict[str, float]
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why the process has to end."""

    exit_status: int
    event: str
    facts: dict[str, str | float]


def judge(seen: Seen, limits: Limits) -> Verdict | None:
    """Return why the process has to end, if it has to."""
    if seen.inference_s > limits.stuck_s:
        facts: dict[str, str | float] = {"for_s": round(seen.inference_s, 1)}
        return Verdict(exit_status=HUNG, event="worker.inference_hangs", facts=facts)
    for camera_id, stuck_s in seen.decoding_s.items():
        if stuck_s > limits.stuck_s:
            facts = {"camera_id": camera_id, "for_s": round(stuck_s, 1)}
            return Verdict(exit_status=HUNG, event="worker.decoder_hangs", facts=facts)
    if 0 < limits.memory_bytes < seen.memory_bytes:
        facts = {"memory_bytes": seen.memory_bytes, "limit_bytes": limits.memory_bytes}
        return Verdict(exit_status=OUT_OF_MEMORY, event="worker.out_of_memory", facts=facts)
    return None


class Watchdog:
    """Looks at the process, and ends it.

    Args:
        look: Sees the process.
        stop: Begins an orderly end with an exit status.
        clock: Where time comes from.
        limits: What is too much.
        exit_now: Ends the process as it is.
    """

    def __init__(
        self,
        *,
        look: Callable[[], Seen],
        stop: Callable[[int], None],
        clock: Clock,
        limits: Limits = Limits(),
        exit_now: Callable[[int], object] = os._exit,
    ) -> None:
        self._look = look
        self._stop = stop
        self._clock = clock
        self._limits = limits
        self._exit_now = exit_now
        self._turning = threading.Event()

    async def run(self) -> None:
        """Look until cancelled, or until the process has to end."""
        threading.Thread(target=self._watch_loop, name="watchdog", daemon=True).start()
        while True:
            self._turning.set()
            await self._clock.sleep(self._limits.look_every_s)
            verdict = judge(self._look(), self._limits)
            if verdict is not None:
                break
        _log.error(verdict.event, **verdict.facts)
        self._stop(verdict.exit_status)
        await self._clock.sleep(self._limits.farewell_s)  # cancelled by an end that is orderly
        self._exit_now(verdict.exit_status)

    def _watch_loop(self) -> None:
        """End the process when the loop has not come round for too long; in a thread."""
        while self._turning.wait(self._limits.stuck_s) or self._came_round_late():
            self._turning.clear()
        _log.error("worker.loop_hangs", for_s=self._limits.stuck_s)
        self._exit_now(HUNG)

    def _came_round_late(self) -> bool:
        """Give a process that was stopped and goes on a moment to turn."""
        return self._turning.wait(self._limits.look_every_s)
