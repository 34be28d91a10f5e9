"""Who looks at a camera gets the newest pictures, each drawn once for all who do."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

import pytest

from service_runtime.errors import ResourceExhausted, Unavailable
from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.vision_worker.looking.scenes import NOON, frame
from vision_worker.looking.onlookers import (
    FIRST_PICTURE_S,
    MOST,
    OUTAGE_S,
    Onlookers,
    Trouble,
    trouble_of,
)
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import DrawnPicture, Form

T = TypeVar("T")

SMALL = Form(longest_side=320, annotated=True)
LARGE = Form(longest_side=640, annotated=True)
AWAY = Trouble(reason="unreachable", sentence="Check the network.")


class DrawnAtOnce(PictureThread):
    """Draws in the loop, or when it is let, so that a test knows when."""

    def __init__(self) -> None:
        self.may_draw = asyncio.Event()
        self.may_draw.set()

    async def run(self, work: Callable[[], T]) -> T:
        await self.may_draw.wait()
        return work()


class Camera:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.thread = DrawnAtOnce()
        self.onlookers = Onlookers(thread=self.thread, clock=self.clock)
        self._streams: list[AsyncGenerator[DrawnPicture]] = []

    def watch(self, form: Form = SMALL, fps: float = 0) -> AsyncGenerator[DrawnPicture]:
        stream = self.onlookers.watch(form, fps)
        self._streams.append(stream)
        return stream

    async def show(self, index: int) -> None:
        self.onlookers.show(frame(index), ())
        await settle()

    async def close(self) -> None:
        for stream in self._streams:
            await stream.aclose()


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    made = Camera()
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def looking(
    stream: AsyncGenerator[DrawnPicture],
) -> AsyncIterator["asyncio.Task[DrawnPicture]"]:
    """Wait for a stream's next picture while the block runs."""
    coming = asyncio.ensure_future(anext(stream))
    await settle()
    try:
        yield coming
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def taken(picture: DrawnPicture) -> int:
    """Return the index of the frame that a picture shows."""
    return int((picture.captured_at - NOON).total_seconds())


async def first(camera: Camera, stream: AsyncGenerator[DrawnPicture], index: int) -> DrawnPicture:
    async with looking(stream) as coming:
        await camera.show(index)
        return await coming


async def test_nothing_is_drawn_and_no_thread_is_there_while_nobody_looks() -> None:
    thread = PictureThread()
    onlookers = Onlookers(thread=thread, clock=VirtualClock())
    assert not onlookers.here
    onlookers.show(frame(), ())
    await settle()
    assert onlookers.drawn == 0
    assert thread._executor._threads == set()  # the executor starts one with its first work
    thread.close()


async def test_all_who_want_the_same_form_share_one_picture(camera: Camera) -> None:
    streams = [camera.watch(SMALL), camera.watch(SMALL), camera.watch(LARGE)]
    coming = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await settle()
    await camera.show(1)
    pictures = [await one for one in coming]
    assert camera.onlookers.drawn == 2
    assert pictures[0] is pictures[1]
    assert [picture.width for picture in pictures] == [320, 320, 640]


async def test_who_is_slow_finds_the_newest(camera: Camera) -> None:
    stream = camera.watch()
    assert taken(await first(camera, stream, 1)) == 1
    for index in (2, 3, 4):
        await camera.show(index)
    assert taken(await anext(stream)) == 4
    async with looking(stream) as coming:
        assert not coming.done()


async def test_a_slow_pencil_draws_the_newest_too(camera: Camera) -> None:
    stream = camera.watch()
    async with looking(stream) as coming:
        camera.thread.may_draw.clear()
        for index in (1, 2, 3):
            await camera.show(index)
        camera.thread.may_draw.set()
        await settle()
        assert taken(await coming) == 3
    assert camera.onlookers.drawn == 2


async def test_nobody_gets_more_pictures_than_wanted(camera: Camera) -> None:
    stream = camera.watch(fps=1)
    assert taken(await first(camera, stream, 0)) == 0
    seen = []
    for tick in range(1, 26):  # five a second, for five seconds
        await camera.clock.advance(0.2)
        await camera.show(tick)
        viewer = camera.onlookers._viewers[0]
        if (picture := viewer.take()) is not None:
            seen.append(taken(picture))
    assert seen == [4, 9, 14, 19, 24]  # a quarter of a second early is near enough


async def test_there_is_room_for_some_and_a_place_is_free_when_one_leaves(camera: Camera) -> None:
    streams = [camera.watch() for _ in range(MOST)]
    coming = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await settle()
    with pytest.raises(ResourceExhausted) as caught:
        await camera.onlookers.snapshot(SMALL)
    assert caught.value.reason == "TOO_MANY_VIEWERS"
    await camera.show(1)
    await asyncio.gather(*coming)
    await streams[0].aclose()
    snapshot = asyncio.ensure_future(camera.onlookers.snapshot(SMALL))
    await settle()
    await camera.show(2)
    assert taken(await snapshot) == 2
    for stream in streams:
        await stream.aclose()
    assert not camera.onlookers.here
    assert camera.onlookers._drawing is None


async def test_a_camera_in_trouble_says_which_at_once(camera: Camera) -> None:
    camera.onlookers.miss(AWAY)
    with pytest.raises(Unavailable) as caught:
        await camera.onlookers.snapshot(SMALL)
    assert caught.value.metadata == {"failure_reason": "unreachable"}
    assert caught.value.sentence == (
        "The camera shows no picture now (unreachable). Check the network."
    )
    camera.onlookers.miss(None)  # it is tried again
    snapshot = asyncio.ensure_future(camera.onlookers.snapshot(SMALL))
    await settle()
    await camera.show(1)
    assert taken(await snapshot) == 1


async def test_a_camera_that_only_begins_is_waited_for_and_not_for_ever(camera: Camera) -> None:
    snapshot = asyncio.ensure_future(camera.onlookers.snapshot(SMALL))
    await camera.clock.advance(FIRST_PICTURE_S - 0.1)
    assert not snapshot.done()
    await camera.clock.advance(0.2)
    with pytest.raises(Unavailable) as caught:
        await snapshot
    assert caught.value.metadata == {"failure_reason": "starting"}


async def test_a_stream_outlives_a_source_that_comes_back(camera: Camera) -> None:
    stream = camera.watch()
    await first(camera, stream, 1)
    camera.onlookers.miss(AWAY)
    dark = await anext(stream)
    assert (taken(dark), dark.live) == (1, False)
    for _ in range(2):  # tried again and again, which tells nobody anything new
        camera.onlookers.miss(None)
        camera.onlookers.miss(AWAY)
        await camera.clock.advance(10)
    assert camera.onlookers.drawn == 2
    picture = await first(camera, stream, 5)
    assert (taken(picture), picture.live) == (5, True)


async def test_a_stream_ends_with_the_reason_when_the_source_stays_away(camera: Camera) -> None:
    stream = camera.watch()
    await first(camera, stream, 1)
    camera.onlookers.miss(AWAY)
    assert not (await anext(stream)).live
    async with looking(stream) as coming:
        await camera.clock.advance(OUTAGE_S + 0.1)
        with pytest.raises(Unavailable) as caught:
            await coming
    assert caught.value.metadata == {"failure_reason": "unreachable"}


async def test_a_stream_ends_at_once_with_the_camera(camera: Camera) -> None:
    stream = camera.watch()
    await first(camera, stream, 1)
    async with looking(stream) as coming:
        camera.onlookers.miss(trouble_of("stopping", "none"))
        with pytest.raises(Unavailable) as caught:
            await coming
    assert caught.value.metadata == {"failure_reason": "stopping"}


async def test_what_breaks_the_pencil_reaches_who_looks(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> DrawnPicture:
        raise ZeroDivisionError

    monkeypatch.setattr("vision_worker.looking.onlookers.render", broken)
    with pytest.raises(ZeroDivisionError):
        await first(camera, camera.watch(), 1)


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("running", "none", None),
        ("starting", "unreachable", None),
        ("backoff", "refused", "refused"),
        ("failed", "model_unavailable", "model_unavailable"),
        ("stopped", "ended", "ended"),
        ("stopping", "none", "stopping"),
    ],
)
def test_a_state_tells_why_there_is_nothing_to_see(
    status: str, reason: str, told: str | None
) -> None:
    trouble = trouble_of(status, reason)
    assert (None if trouble is None else trouble.reason) == told


async def test_the_real_thread_draws_beside_the_loop_and_yields_to_others() -> None:
    thread = PictureThread()
    try:
        name, nice = await thread.run(
            lambda: (
                threading.current_thread().name,
                os.getpriority(os.PRIO_PROCESS, threading.get_native_id()),
            )
        )
    finally:
        thread.close()
    assert name.startswith("pictures")
    assert nice >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10) or nice == 10
