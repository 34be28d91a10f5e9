"""A worker's spool under faults; the last test plants bugs and shows that the faults find them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.spool_bugs import BUGS
from tests.faults.spool_world import World, running_world
from tests.faults.worker_spool import (
    QUICK,
    Fault,
    drain_many,
    put_in,
    sigkill_at_a_step,
    sigkill_while_a_damaged_file_is_replaced,
    sweep,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path, seed=1) as made:
        yield made


async def test_what_a_worker_promised_is_there_once(world: World) -> None:
    await put_in(world, seed=1, rounds=1, faults=QUICK)
    assert await sweep(world, stride=25) >= 2
    await drain_many(world, 2_000)
    assert world.kills >= 6


FOUND_BY: dict[str, Fault] = {
    "promise_before_the_commit": sigkill_at_a_step,
    "forget_what_was_sent": sigkill_at_a_step,
    "number_batches_in_memory": sigkill_at_a_step,
    "forget_acknowledgements": sigkill_at_a_step,
    "salvage_after_the_change_of_files": sigkill_while_a_damaged_file_is_replaced,
}


async def test_planted_bugs_are_found(world: World) -> None:
    for bug in BUGS:
        world.bug = bug
        with pytest.raises(AssertionError):
            for _ in range(60):
                await FOUND_BY[bug](world)
