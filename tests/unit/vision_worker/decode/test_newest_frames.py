"""The hand-over: bounded, newest first to stay, awaited and never polled."""

import asyncio
import threading
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.support.pictures import decoded_picture
from vision_worker.decode.frame import Frame
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.sources.failure import SourceFailure

_BLACK = np.zeros((2, 2, 3), np.uint8)


def frame(index: int, *, cut: bool = False) -> Frame:
    return Frame(
        image=_BLACK,
        picture=decoded_picture(_BLACK),
        captured_at=datetime(2026, 1, 1, tzinfo=UTC),
        media_s=index / 5,
        index=index,
        cut=cut,
    )


async def rest(frames: NewestFrames) -> list[int]:
    return [one.index async for one in frames]


async def test_the_newest_frames_stay_and_the_others_are_counted() -> None:
    frames = NewestFrames(asyncio.get_running_loop(), capacity=2)
    for index in range(5):
        frames.put(frame(index))
    frames.finish()
    assert await rest(frames) == [3, 4]
    assert frames.dropped == 3


@pytest.mark.parametrize("capacity", [1, 2])
async def test_a_cut_survives_the_loss_of_its_frame(capacity: int) -> None:
    frames = NewestFrames(asyncio.get_running_loop(), capacity=capacity)
    frames.put(frame(0, cut=True))
    for index in range(1, 6):
        frames.put(frame(index))
    frames.finish()
    cuts = [one.cut async for one in frames]
    assert cuts == [True, False][:capacity]


async def test_a_waiting_reader_is_woken_from_another_thread() -> None:
    frames = NewestFrames(asyncio.get_running_loop())
    reader = asyncio.create_task(rest(frames))
    await asyncio.sleep(0)
    assert not reader.done()

    def write() -> None:
        frames.put(frame(7))
        frames.finish()

    thread = threading.Thread(target=write)
    thread.start()
    assert await asyncio.wait_for(reader, 5) == [7]
    thread.join(5)


async def test_a_failure_comes_after_the_frames_before_it() -> None:
    frames = NewestFrames(asyncio.get_running_loop())
    frames.put(frame(0))
    frames.finish(SourceFailure("stalled"))
    assert (await anext(frames)).index == 0
    with pytest.raises(SourceFailure):
        await anext(frames)


async def test_nothing_is_lost_or_doubled_between_two_threads() -> None:
    frames = NewestFrames(asyncio.get_running_loop(), capacity=4)

    def write() -> None:
        for index in range(500):
            frames.put(frame(index))
        frames.finish()

    thread = threading.Thread(target=write)
    thread.start()
    seen = await asyncio.wait_for(rest(frames), 10)
    thread.join(5)
    assert seen == sorted(set(seen))
    assert len(seen) + frames.dropped == 500
    assert seen[-1] == 499


async def test_writing_to_a_reader_that_is_gone_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    frames = NewestFrames(loop)
    loop.close()
    frames.put(frame(0))
    frames.finish()
