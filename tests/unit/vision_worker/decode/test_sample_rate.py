"""The sampling rate under load, against a machine that looks at so many frames a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_worker.decode.sample_rate import SampleRate


class Machine:
    """Takes frames of a rate and loses those beyond what it can look at."""

    def __init__(self, asked: float) -> None:
        self.rate = SampleRate(asked)
        self.now_s = 0.0
        self.taken = 0
        self.lost = 0
        self._free_s = 0.0

    def run(self, seconds: float, *, capacity: float) -> list[float]:
        """Return the rate after each frame."""
        rates: list[float] = []
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 1 / self.rate.fps
            self.taken += 1
            if self._free_s > self.now_s + 1 / capacity:
                self.lost += 1
            else:
                self._free_s = max(self._free_s, self.now_s) + 1 / capacity
            rates.append(self.rate.sampled(self.now_s, lost=self.lost))
        return rates


def test_a_machine_that_keeps_up_looks_at_what_was_asked_for() -> None:
    machine = Machine(5)
    assert set(machine.run(60, capacity=50)) == {5}
    assert not machine.rate.reduced


def test_under_load_the_rate_falls_to_what_gets_through_and_frames_are_not_wasted() -> None:
    machine = Machine(5)
    machine.run(20, capacity=2)
    assert machine.rate.reduced
    taken, lost = machine.taken, machine.lost
    rates = machine.run(300, capacity=2)
    assert 1.4 <= sum(rates) / len(rates) <= 2.3
    assert (machine.lost - lost) / (machine.taken - taken) < 0.05


def test_it_recovers_when_the_load_is_gone() -> None:
    machine = Machine(5)
    machine.run(30, capacity=1)
    machine.run(180, capacity=50)
    assert machine.rate.fps == pytest.approx(5)
    assert not machine.rate.reduced


@given(
    asked=st.floats(0.5, 30),
    loads=st.lists(st.tuples(st.floats(1, 30), st.floats(0.2, 60)), min_size=1, max_size=5),
)
def test_it_never_leaves_its_bounds(asked: float, loads: list[tuple[float, float]]) -> None:
    machine = Machine(asked)
    for seconds, capacity in loads:
        for rate in machine.run(seconds, capacity=capacity):
            assert 0.099 * asked <= rate <= asked


def test_what_comes_all_at_once_as_a_stream_begins_says_nothing_of_the_machine() -> None:
    rate = SampleRate(5)
    for number in range(8):
        rate.sampled(number / 1000, lost=max(0, number - 2))
    for number in range(1, 100):
        assert rate.sampled(number / 5, lost=5) == 5
