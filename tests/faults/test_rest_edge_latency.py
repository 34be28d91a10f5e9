"""What is made of the honest callers' times; the times themselves are measured in the bench."""

import random
from pathlib import Path

import pytest

from tests.faults.rest_edge_latency import Answer, Phase, figures, hold, started
from tests.faults.rest_edge_world import running_world
from tests.faults.row import Violation

QUIET = Phase(kind="quiet", from_s=0, until_s=10)
ATTACKS = [
    Phase(kind="noise", from_s=10, until_s=20),
    Phase(kind="bombs", from_s=20, until_s=30),
]


def answers(from_s: int, took_s: float, slow_s: float, status: int = 200) -> list[Answer]:
    """Return a hundred answers within 10 s, every tenth slow."""
    return [
        Answer(
            moment_s=from_s + number / 10,
            took_s=slow_s if number % 10 == 0 else took_s,
            status=status,
        )
        for number in range(100)
    ]


def test_times_are_those_of_what_was_to_be_asked_for_meanwhile() -> None:
    found = figures(
        answers(0, 0.002, 0.004) + answers(10, 0.002, 0.006) + answers(20, 0.003, 0.012),
        QUIET,
        ATTACKS,
    )
    assert found["others_answers"] == 300
    assert found["others_not_200"] == 0
    assert (found["p50_quiet_ms"], found["p99_quiet_ms"]) == (2, 4)
    assert found["p99_attacked_ms"] == 12
    assert found["p99_ratio"] == 3
    assert (found["worst_attack"], found["worst_p99_ratio"]) == ("bombs", 3)
    assert found["p99_ms under noise"] == 6


@pytest.mark.parametrize("status", [0, 401, 503])
def test_an_honest_caller_who_is_turned_away_is_a_broken_promise(status: int) -> None:
    served = answers(0, 0.002, 0.004)
    hold(served, ATTACKS, row="REST edge", seed=1)
    with pytest.raises(Violation, match="after noise"):
        hold([*served, *answers(10, 0.002, 0.006, status)], ATTACKS, row="REST edge", seed=1)


async def test_callers_have_a_process_of_their_own(tmp_path: Path) -> None:
    async with running_world(tmp_path, dice=random.Random(1), thorough=False) as world:
        told = {"camera": world.own_camera, "token": world.token("viewer")}
        async with started("callers", world.where, told) as callers:
            await callers.ready()
            await world.others_go_on()
            found = await callers.answers()
    assert found
    assert {one.status for one in found} == {200}
    assert all(one.took_s > 0 for one in found)
