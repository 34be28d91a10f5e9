"""Packets over UDP: whatever order they come in, they go on in theirs, or are lost in time."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_worker.sources.relay.reordering import WAIT_S, Reordering


def packet(number: int) -> bytes:
    return bytes((0x80, 96)) + (number & 0xFFFF).to_bytes(2) + number.to_bytes(4)


def numbers(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(one[4:8]) for one in packets]


@settings(max_examples=60)
@given(st.integers(0, 0xFFFF), st.integers(0, 2**32), st.integers(1, 20))
def test_a_shuffle_within_the_window_is_undone(first: int, seed: int, reach: int) -> None:
    wanted = list(range(first, first + 200))
    draw = random.Random(seed)
    sent = sorted(wanted[1:], key=lambda number: number + draw.random() * reach)
    order, out = Reordering(), []
    for number in [first, *sent, *sent[:5]]:  # the last ones come twice, and too late
        out += order.put(packet(number), 0.0)
    assert numbers(out) == wanted
    assert order.due_s is None


def test_a_lost_packet_is_waited_for_and_then_given_up() -> None:
    order = Reordering()
    assert numbers(order.put(packet(1), 0.0)) == [1]
    assert order.put(packet(3), 1.0) == []
    assert order.put(packet(4), 1.01) == []
    assert order.due_s == 1.0 + WAIT_S
    assert order.overdue(1.0) == []
    assert numbers(order.overdue(1.0 + WAIT_S)) == [3, 4]
    assert order.put(packet(2), 1.1) == []
    assert numbers(order.put(packet(5), 1.2)) == [5]


def test_not_more_than_a_window_is_held() -> None:
    order = Reordering()
    order.put(packet(0), 0.0)
    out = [one for number in range(2, 70) for one in order.put(packet(number), 0.0)]
    assert numbers(out) == list(range(2, 70))


@pytest.mark.parametrize("start", [50_000, 20_000])
def test_a_camera_that_begins_again_is_followed(start: int) -> None:
    order = Reordering()
    order.put(packet(40_000), 0.0)
    out = [one for n in range(100) for one in order.put(packet(start + n), 0.0)]
    assert numbers(out)[-1] == start + 99
    assert len(out) >= 68
