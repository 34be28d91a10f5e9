"""The view of the cameras follows the control plane and outlives its absence."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable

from camera_manager.camera_watch import CameraWatch
from service_runtime.backoff import Backoff
from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.camera_manager.fake_control_plane import DirectStub, FakeControlPlane


class Watching:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.plane = FakeControlPlane()
        self.changed: list[str] = []
        self.watch = CameraWatch(
            stub=DirectStub(self.plane),
            clock=self.clock,
            backoff=Backoff(initial_s=0.2, cap_s=3.0, rng=random.Random(1)),
            on_change=self._note,
        )

    def _note(self, camera_ids: Iterable[str]) -> None:
        self.changed += sorted(camera_ids)

    def news(self) -> list[str]:
        changed, self.changed = self.changed, []
        return changed


@contextlib.asynccontextmanager
async def watching(*camera_ids: str) -> AsyncIterator[Watching]:
    it = Watching()
    for camera_id in camera_ids:
        it.plane.put(camera_id)
    task = asyncio.create_task(it.watch.run())
    await settle()
    try:
        yield it
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_lists_then_follows_changes_and_removals() -> None:
    async with watching("a", "b", "c") as it:
        assert it.watch.listed.is_set()
        assert it.watch.cameras.keys() == {"a", "b", "c"}
        assert it.news() == ["a", "b", "c"]
        it.plane.put("b", wanted=False)
        it.plane.remove("c")
        await settle()
        assert it.news() == ["b", "c"]
        assert it.watch.cameras.keys() == {"a", "b"}
        assert not it.watch.cameras["b"].wanted
        assert it.plane.lists == 1


async def test_nothing_is_known_before_the_list_is_complete() -> None:
    async with watching() as it:
        assert it.watch.listed.is_set()
        assert not it.watch.cameras
    away = Watching()
    away.plane.set_away(away=True)
    task = asyncio.create_task(away.watch.run())
    await away.clock.advance(60)
    assert not away.watch.listed.is_set()
    assert away.watch.link.up_since is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_view_stays_while_the_control_plane_is_away_and_the_watch_resumes() -> None:
    async with watching("a", "b") as it:
        it.plane.set_away(away=True)
        await it.clock.advance(600)
        assert it.watch.cameras.keys() == {"a", "b"}
        assert it.watch.link.up_since is None
        it.news()
        it.plane.set_away(away=False)
        it.plane.remove("b")
        await it.clock.advance(4)
        assert it.watch.cameras.keys() == {"a"}
        assert it.watch.link.up_since is not None
        assert it.news() == ["b"]  # it went on where it stopped: no second list
        assert it.plane.lists == 1


async def test_an_expired_token_means_a_new_list_which_finds_what_was_removed() -> None:
    async with watching("a", "b") as it:
        it.plane.set_away(away=True)
        await settle()
        it.plane.remove("b")
        it.plane.put("c")
        it.plane.forget_feed()
        it.plane.set_away(away=False)
        it.news()
        await it.clock.advance(10)
        assert it.watch.cameras.keys() == {"a", "c"}
        assert it.news() == ["a", "b", "c"]
        assert it.plane.lists == 2


async def test_another_database_means_a_new_list() -> None:
    async with watching("a") as it:
        it.plane.set_away(away=True)
        await settle()
        it.plane.replace_database()
        it.plane.remove("a")
        it.plane.set_away(away=False)
        await it.clock.advance(10)
        assert not it.watch.cameras
        assert it.plane.lists == 2


async def test_a_relist_reads_everything_anew_without_a_break_in_the_link() -> None:
    async with watching("a", "b") as it:
        up_since = it.watch.link.up_since
        await it.clock.advance(5)
        it.news()
        it.watch.relist()
        it.watch.relist()
        await settle()
        assert it.news() == ["a", "b"]
        assert it.plane.lists == 2
        assert it.watch.link.listed_at == 5
        assert it.watch.link.up_since == up_since
        it.plane.put("a", wanted=False)
        await settle()
        assert it.news() == ["a"]


async def test_only_a_new_heartbeat_moves_the_time_of_the_last() -> None:
    async with watching("a") as it:
        assert it.watch.cameras["a"].heard_at is None
        it.plane.change("a", epoch=1)
        await it.clock.advance(5)
        it.plane.heartbeat("a", 1)
        await settle()
        assert it.watch.cameras["a"].heard_at == 5
        await it.clock.advance(5)
        it.plane.put("a", wanted=False)
        await settle()
        assert it.watch.cameras["a"].heard_at == 5
        assert not it.watch.cameras["a"].wanted


async def test_being_cancelled_ends_it_even_while_it_relists() -> None:
    it = Watching()
    task = asyncio.create_task(it.watch.run())
    await settle()
    it.watch.relist()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
