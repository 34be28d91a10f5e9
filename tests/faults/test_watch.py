"""Watching under faults; the last tests plant bugs and show that the faults find them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from control_plane.events.feed import ChangeFeed, FeedBatch
from service_runtime.resume_tokens import ResumeToken
from tests.faults.row import Violation
from tests.faults.watch import (
    BOTH,
    REPLICAS,
    Fault,
    checkpoint_that_overtakes,
    killed_while_watched,
    put_in,
    resume_at_every_revision,
    running_world,
)
from tests.support.postgres import PostgresSite

MANY = 40


async def test_whatever_happens_nothing_is_missed_on_one(tmp_path: Path) -> None:
    async with running_world(tmp_path, seed=1, many=MANY) as world:
        await put_in(world, BOTH, seed=1, rounds=1)


async def test_whatever_happens_nothing_is_missed_on_two(
    tmp_path: Path, postgres: PostgresSite
) -> None:
    async with running_world(tmp_path, seed=2, site=postgres, many=MANY) as world:
        await put_in(world, BOTH + REPLICAS, seed=2, rounds=1)


async def test_watchers_of_a_control_plane_that_is_killed_miss_nothing(tmp_path: Path) -> None:
    counted = await killed_while_watched(tmp_path, seed=1, kills=1)
    assert counted["resumes"] == 6


def drop_an_event_at_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ChangeFeed.subscribe

    def subscribe(self: ChangeFeed, after: ResumeToken | None = None, **asked: Any) -> Any:
        # not the last one: that would show as silence, which takes longer to find
        if after is not None and self._tail._read_to > after.sequence + 1:
            after = ResumeToken(feed_id=after.feed_id, sequence=after.sequence + 1)
        return real(self, after, **asked)

    monkeypatch.setattr(ChangeFeed, "subscribe", subscribe)


def let_checkpoints_overtake(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ChangeFeed.subscribe

    async def subscribe(self: ChangeFeed, *args: Any, **asked: Any) -> AsyncIterator[FeedBatch]:
        held: list[FeedBatch] = []
        async for batch in real(self, *args, **asked):
            if batch.events and asked:
                # events wait for the next checkpoint, which tells of their place before them
                held.append(batch)
                yield FeedBatch(events=(), resume_token=batch.resume_token)
                continue
            yield batch
            for late in held:
                yield late
            held.clear()

    monkeypatch.setattr(ChangeFeed, "subscribe", subscribe)


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (drop_an_event_at_resume, resume_at_every_revision),
        (let_checkpoints_overtake, checkpoint_that_overtakes),
    ],
)
async def test_a_planted_bug_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    fault: Fault,
) -> None:
    async with running_world(tmp_path, seed=1, many=MANY) as world:
        await put_in(world, (fault,), seed=1, rounds=1)
        plant(monkeypatch)
        with pytest.raises(Violation, match=r"missed|ahead|never told"):
            await put_in(world, (fault,), seed=1, rounds=2)
        monkeypatch.undo()
