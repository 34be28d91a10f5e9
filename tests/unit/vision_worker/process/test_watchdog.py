"""When a worker ends itself, and how."""

import asyncio
import threading
from dataclasses import replace

import pytest

from tests.support.virtual_clock import VirtualClock
from vision_worker.process.watchdog import HUNG, OUT_OF_MEMORY, Limits, Seen, Watchdog, judge

WELL = Seen(inference_s=59, decoding_s={"a": 0, "b": 60}, memory_bytes=1000)
LIMITS = Limits(memory_bytes=1000)


@pytest.mark.parametrize(
    ("seen", "status", "event"),
    [
        (replace(WELL, inference_s=61), HUNG, "worker.inference_hangs"),
        (replace(WELL, decoding_s={"a": 0, "b": 61}), HUNG, "worker.decoder_hangs"),
        (replace(WELL, memory_bytes=1001), OUT_OF_MEMORY, "worker.out_of_memory"),
    ],
)
def test_what_ends_a_process(seen: Seen, status: int, event: str) -> None:
    assert judge(WELL, LIMITS) is None
    verdict = judge(seen, LIMITS)
    assert verdict is not None
    assert (verdict.exit_status, verdict.event) == (status, event)
    assert judge(replace(seen, inference_s=0, decoding_s={}), Limits()) is None


class World:
    """A process under a watchdog."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.seen = WELL
        self.stops: list[int] = []
        self.exits: list[int] = []
        self.watchdog = Watchdog(
            look=lambda: self.seen,
            stop=self.stops.append,
            clock=self.clock,
            limits=LIMITS,
            exit_now=self.exits.append,
        )


async def test_a_process_that_cannot_end_in_order_is_ended_after_its_farewell() -> None:
    world = World()
    running = asyncio.create_task(world.watchdog.run())
    await world.clock.advance(21)
    assert not world.stops
    world.seen = replace(WELL, memory_bytes=2000)
    await world.clock.advance(5)
    assert (world.stops, world.exits) == ([OUT_OF_MEMORY], [])
    await world.clock.advance(8)
    assert world.exits == []
    await world.clock.advance(2)
    await running
    assert world.exits == [OUT_OF_MEMORY]


async def test_an_orderly_end_is_left_alone() -> None:
    world = World()
    running = asyncio.create_task(world.watchdog.run())
    world.seen = replace(WELL, inference_s=100)
    await world.clock.advance(6)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await world.clock.advance(60)
    assert (world.stops, world.exits) == ([HUNG], [])


async def test_a_loop_that_does_not_turn_is_noticed_from_outside() -> None:
    ended = threading.Event()
    statuses: list[int] = []

    def exit_now(status: int) -> None:
        statuses.append(status)
        ended.set()

    watchdog = Watchdog(
        look=lambda: WELL,
        stop=statuses.append,
        clock=VirtualClock(),  # on which the next look never comes
        limits=Limits(stuck_s=0.02, look_every_s=0.02),
        exit_now=exit_now,
    )
    running = asyncio.create_task(watchdog.run())
    await asyncio.to_thread(ended.wait, 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert statuses == [HUNG]
