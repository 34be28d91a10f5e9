"""Whose turn it is in the one thread of the models."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from vision_worker.models.inference_thread import InferenceThread, Lane


class Adder(FaceEngine):
    """Stands for models: the embedding of a chip is its first value, and batches are noted."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(chips))
        if (chips == 255).any():
            raise ValueError("no chip")
        return chips.reshape(len(chips), -1)[:, :1].astype(np.float32)


class Held:
    """A thread that is held up until it is let go, so that work piles up behind."""

    def __init__(self) -> None:
        self.thread = InferenceThread()
        self.engine = Adder()
        self.order: list[str] = []
        self._go = threading.Event()
        self._waiting: list[asyncio.Task[None]] = []

    async def hold_up(self) -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait() -> None:
            loop.call_soon_threadsafe(begun.set)
            self._go.wait(10)

        self._waiting.append(asyncio.create_task(self.thread.open_lane().run(wait)))
        await begun.wait()

    async def add(self, lane: Lane, name: str) -> None:
        self._waiting.append(asyncio.create_task(lane.run(lambda: self.order.append(name))))
        await asyncio.sleep(0)

    async def go(self) -> None:
        self._go.set()
        await asyncio.gather(*self._waiting)

    def embed(self, lane: Lane, *values: int) -> "asyncio.Task[list[float]]":
        chips = np.array(values, np.uint8).reshape(-1, 1, 1, 1)
        then = lambda rows, _seconds: [float(row[0]) for row in rows]  # noqa: E731 one line
        return asyncio.create_task(lane.embed(self.engine, chips, then=then))


@asynccontextmanager
async def held_up() -> AsyncIterator[Held]:
    held = Held()
    held.thread.start()
    await held.hold_up()
    try:
        yield held
    finally:
        await held.go()
        held.thread.close()


async def test_lanes_take_turns_whoever_came_first_with_how_much() -> None:
    async with held_up() as held:
        crowd, quiet, third = (held.thread.open_lane() for _ in range(3))
        for name in ("a1", "a2", "a3"):
            await held.add(crowd, name)
        await held.add(quiet, "b1")
        await held.add(third, "c1")
        await held.add(quiet, "b2")
        await held.go()
        assert held.order == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_one_lane_has_no_more_than_its_share_waiting() -> None:
    async with held_up() as held:
        lane = held.thread.open_lane()
        for number in range(30):
            await held.add(lane, str(number))
        assert len(lane.waiting) == 8
        await held.go()
        assert held.order == [str(number) for number in range(30)]


async def test_faces_that_wait_together_are_embedded_together() -> None:
    async with held_up() as held:
        lanes = [held.thread.open_lane() for _ in range(3)]
        tasks = [held.embed(lane, at, at + 100) for at, lane in enumerate(lanes)]
        await asyncio.sleep(0)
        await held.go()
        assert await asyncio.gather(*tasks) == [[0, 100], [1, 101], [2, 102]]
        assert held.engine.batches == [6]
        assert held.thread.merged == 2


async def test_a_batch_has_a_bound_and_other_models_are_no_part_of_it() -> None:
    async with held_up() as held:
        first, second, third = (held.thread.open_lane() for _ in range(3))
        other = Adder()
        tasks = [held.embed(first, *range(20)), held.embed(second, *range(20))]
        held.engine, ours = other, held.engine
        tasks.append(held.embed(third, 1))
        await asyncio.sleep(0)
        await held.go()
        await asyncio.gather(*tasks)
        assert (ours.batches, other.batches) == ([20, 20], [1])


async def test_what_one_camera_hands_in_is_not_anothers_error() -> None:
    async with held_up() as held:
        lanes = [held.thread.open_lane() for _ in range(3)]
        tasks = [held.embed(lane, value) for lane, value in zip(lanes, (1, 255, 3), strict=True)]
        await asyncio.sleep(0)
        await held.go()
        one, bad, three = await asyncio.gather(*tasks, return_exceptions=True)
        assert (one, three) == ([1.0], [3.0])
        assert isinstance(bad, ValueError)
        with pytest.raises(ZeroDivisionError):
            await lanes[0].run(lambda: 1 // 0)
        assert await lanes[0].run(lambda: 7) == 7


async def test_who_waits_when_it_closes_or_came_too_late_is_cancelled() -> None:
    async with held_up() as held:
        lane = held.thread.open_lane()
        waiting = held.embed(lane, 1)
        await asyncio.sleep(0)
        held.thread.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(asyncio.CancelledError):
            await held.embed(lane, 1)


async def test_it_tells_how_long_its_present_work_takes() -> None:
    thread = InferenceThread()
    assert thread.busy_s == 0
    async with held_up() as held:
        assert held.thread.busy_s > 0
