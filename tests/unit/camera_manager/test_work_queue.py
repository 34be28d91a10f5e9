"""Keys come once, in order, when they are due, and never to two at once."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camera_manager.work_queue import WorkQueue
from tests.support.virtual_clock import VirtualClock, settle

# what is slow here is the machine, at times
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def test_a_key_that_was_added_often_comes_once() -> None:
    queue = WorkQueue(VirtualClock())
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_that_is_added_while_it_is_worked_on_comes_again_afterwards() -> None:
    queue = WorkQueue(VirtualClock())
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.take() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_delayed_key_comes_in_its_time_and_the_earlier_wish_counts() -> None:
    clock = VirtualClock()
    queue = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert await queue.take() == "a"
    queue.done("a")
    await clock.advance(60)
    assert len(queue) == 0


async def test_adding_a_key_now_takes_the_place_of_its_delay() -> None:
    clock = VirtualClock()
    queue = WorkQueue(clock)
    queue.add_after("a", 5)
    queue.add("a")
    assert await queue.take() == "a"
    queue.done("a")
    await clock.advance(60)
    assert len(queue) == 0


async def test_who_waits_for_a_key_gets_it_and_a_cancelled_one_takes_none() -> None:
    queue = WorkQueue(VirtualClock())
    first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
    await settle()
    first.cancel()
    await settle()
    queue.add("a")
    assert await second == "a"


async def test_a_closed_queue_leaves_no_timers() -> None:
    clock = VirtualClock()
    queue = WorkQueue(clock)
    queue.add_after("a", 5)
    await settle()
    queue.close()
    await clock.advance(10)
    assert len(queue) == 0


@calmly
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "later", "take", "done", "wait"]), st.integers(0, 3)),
        max_size=60,
    )
)
def test_no_key_is_lost_or_taken_twice(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        clock = VirtualClock()
        queue = WorkQueue(clock)
        taken: set[str] = set()
        owed: set[str] = set()
        for step, number in steps:
            key = "abcd"[number]
            if step == "add":
                queue.add(key)
                owed.add(key)
            elif step == "later":
                queue.add_after(key, number + 1)
                owed.add(key)
            elif step == "wait":
                await clock.advance(number)
            elif step == "take" and len(queue):
                got = await queue.take()
                assert got not in taken
                taken.add(got)
                owed.discard(got)
            elif step == "done" and key in taken:
                taken.discard(key)
                queue.done(key)
        for key in taken:
            queue.done(key)
        await clock.advance(10)
        rest = {await queue.take() for _ in range(len(queue))}
        assert rest == owed

    asyncio.run(play())
