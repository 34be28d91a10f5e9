"""Of several managers one acts, and never two at once, whatever the clocks and calls do."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from camera_manager.leadership import LASTS_S, Leadership, holder_name
from dfip.control_plane.v1 import lease_service_pb2 as pb
from service_runtime.errors import Unavailable
from service_runtime.identifiers import new_id
from tests.support.leases import DirectLeases
from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.camera_manager.site import running_site

TAKEOVER_S = 15.0


class Candidates:
    """Managers that want the same lease; each can be stopped dead, frozen and let go on."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.leases = DirectLeases(self.clock)
        self.taken: list[str] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, name: str) -> Leadership:
        leadership = Leadership(
            stub=self.leases,
            clock=self.clock,
            holder=name,
            on_taken=lambda: self.taken.append(name),
        )
        self._tasks[name] = asyncio.create_task(leadership.run())
        return leadership

    async def kill(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        for name in list(self._tasks):
            await self.kill(name)


@contextlib.asynccontextmanager
async def candidates() -> AsyncIterator[Candidates]:
    site = Candidates()
    try:
        yield site
    finally:
        await site.close()


async def test_the_first_acts_and_the_second_stands_by() -> None:
    async with candidates() as site:
        first = site.add("a")
        await settle()
        second = site.add("b")
        await site.clock.advance(120)
        assert (first.holds, second.holds) == (True, False)
        assert site.taken == ["a"]


async def test_another_takes_over_within_fifteen_seconds_of_a_death() -> None:
    async with candidates() as site:
        first = site.add("a")
        await settle()
        second = site.add("b")
        await site.clock.advance(31.5)
        await site.kill("a")
        died_at = site.clock.monotonic()
        while not second.holds:
            assert not (first.holds and second.holds)
            await site.clock.advance(0.1)
        assert site.clock.monotonic() - died_at < TAKEOVER_S
        assert second.term == first.term + 1


async def test_one_that_comes_back_need_not_wait_for_itself_and_has_a_new_term() -> None:
    async with candidates() as site:
        first = site.add("a")
        await settle()
        await site.kill("a")
        again = site.add("a")
        await settle()
        assert again.holds
        assert again.term == first.term + 1


async def test_one_that_gives_back_lets_the_next_in_at_once() -> None:
    async with candidates() as site:
        first = site.add("a")
        await settle()
        second = site.add("b")
        await settle()
        await site.kill("a")
        await first.release()
        assert not first.holds
        await site.clock.advance(1.1)
        assert second.holds


async def test_the_right_ends_by_itself_while_the_control_plane_is_away() -> None:
    async with candidates() as site:
        first = site.add("a")
        await settle()
        site.leases.away = True
        await site.clock.advance(LASTS_S)
        assert not first.holds
        site.leases.away = False
        await site.clock.advance(1.1)
        assert first.holds


async def test_an_answer_that_takes_long_shortens_the_right() -> None:
    async with candidates() as site:
        site.leases.slow_s = 1.9
        first = site.add("a")
        await site.clock.advance(1.9)
        assert first.holds
        await site.kill("a")
        # asked at 0, so it ends at 9 whenever the answer came
        await site.clock.advance(7.0)
        assert first.holds
        await site.clock.advance(0.2)
        assert not first.holds


@pytest.mark.parametrize("seed", range(25))
async def test_two_never_act_at_once_and_terms_only_grow(seed: int) -> None:
    rng = random.Random(seed)
    async with candidates() as site:
        managers = {name: site.add(name) for name in "abc"}
        terms: list[int] = []
        for _ in range(150):
            match rng.randrange(6):
                case 0:
                    site.leases.away = not site.leases.away
                case 1:
                    site.leases.slow_s = rng.choice([0.0, 0.5, 1.9, 2.5])
                case 2:
                    name = rng.choice("abc")
                    await site.kill(name)
                    managers[name] = site.add(name)
                case _:
                    pass
            await site.clock.advance(rng.choice([0.1, 1.0, 3.0, 12.0]))
            acting = [manager for manager in managers.values() if manager.holds]
            assert len(acting) <= 1, f"seed {seed}"
            terms += [manager.term for manager in acting]
        assert terms == sorted(terms)
        assert len(set(terms)) > 2


async def test_a_manager_that_lost_the_lease_does_nothing_until_it_has_it_again() -> None:
    camera = new_id()
    async with running_site() as site:
        site.leases.away = True
        await site.pass_time(LASTS_S + 1)
        site.plane.put(camera)
        await site.pass_time(30)
        assert not site.place.started
        assert not site.reconciler.reconciling
        with pytest.raises(Unavailable, match="Another camera manager acts"):
            await site.reconciler.restart(camera)
        site.leases.away = False
        await site.pass_time(2)
        assert site.place.living()[camera].epoch == 1


async def test_a_term_that_the_control_plane_refuses_ends_the_right_at_once() -> None:
    async with candidates() as site:
        first = site.add("a")
        await settle()
        site.leases.lease = None
        await site.leases.AcquireLease(_asked_by("b"))
        await site.leases.AcquireLease(_asked_by("b"))
        await site.clock.advance(3.1)
        assert not first.holds


def test_the_name_of_a_holder_stays(tmp_path: Path) -> None:
    name = holder_name(tmp_path / "workers")
    assert holder_name(tmp_path / "workers") == name
    assert holder_name(tmp_path / "others") != name


def _asked_by(holder: str) -> pb.AcquireLeaseRequest:
    return pb.AcquireLeaseRequest(name="camera-manager", holder=holder, duration_s=LASTS_S)
