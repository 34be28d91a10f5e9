"""Who shares a process with whom."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_manager.runtimes.placement import (
    CLEARED_AFTER_S,
    Place,
    Suspicion,
    after_death,
    choose,
    room_of,
)


def place(name: str, cameras: int, room: int = 8) -> Place:
    return Place(name=name, cameras=cameras, room=room)


@pytest.mark.parametrize(
    ("places", "room", "chosen"),
    [
        ([], 8, None),
        ([place("a", 8)], 8, None),
        ([place("a", 1), place("b", 3), place("c", 8)], 8, "b"),
        ([place("b", 3), place("a", 3)], 8, "a"),
        ([place("a", 1, room=4)], 8, None),
        ([place("a", 1, room=4), place("b", 2)], 4, "a"),
        ([place("a", 1, room=1)], 1, None),
    ],
)
def test_the_fullest_process_of_the_right_size_is_chosen(
    places: list[Place], room: int, chosen: str | None
) -> None:
    assert choose(places, room=room) == chosen


def test_a_suspicion_passes_and_another_death_renews_it() -> None:
    before = after_death({}, ["a", "b", "c"], now=0)
    assert {name: one.room for name, one in before.items()} == {"a": 2, "b": 2, "c": 2}
    later = after_death(before, ["a", "b"], now=100)
    assert [room_of(later.get(name), most=8, now=101) for name in "abcd"] == [1, 1, 2, 8]
    assert room_of(later["c"], most=8, now=CLEARED_AFTER_S + 1) == 8
    assert "c" not in after_death(later, ["d"], now=CLEARED_AFTER_S + 1)
    assert room_of(Suspicion(room=4, until=9), most=2, now=1) == 2


def _lives(cameras: list[str], killer: str, most: int) -> Iterator[dict[str, list[str]]]:
    """Yield who is with whom, each time after all cameras that died have been placed again."""
    suspicions: dict[str, Suspicion] = {}
    groups: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    waiting = list(cameras)
    for number in range(100):
        for camera in waiting:
            room = room_of(suspicions.get(camera), most=most, now=number)
            here = [Place(name=n, cameras=len(g), room=sizes[n]) for n, g in groups.items()]
            name = choose(here, room=room) or f"{number}-{camera}"
            sizes.setdefault(name, room)
            groups.setdefault(name, []).append(camera)
        yield groups
        dead = next(name for name, group in groups.items() if killer in group)
        waiting = groups.pop(dead)
        suspicions = after_death(suspicions, waiting, now=number)


@given(count=st.integers(1, 40), most=st.integers(2, 16), data=st.data())
def test_a_camera_that_kills_its_process_is_soon_alone(
    count: int, most: int, data: st.DataObject
) -> None:
    cameras = [f"c{number}" for number in range(count)]
    killer = data.draw(st.sampled_from(cameras))
    deaths = 0
    for groups in _lives(cameras, killer, most):
        assert all(len(group) <= most for group in groups.values())
        (companions,) = [group for group in groups.values() if killer in group]
        if companions == [killer]:
            break
        deaths += 1
    assert deaths <= most.bit_length()
    assert len(groups) <= -(-count // most) + 2 * most.bit_length()
