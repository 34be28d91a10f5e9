"""The change feed under faults; the last tests plant bugs and show that the faults find them."""

import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.engines.postgres import PostgresEngine
from control_plane.events.feed import ChangeFeed
from control_plane.events.reading import Standing
from service_runtime.resume_tokens import ResumeToken
from tests.faults.change_feed import (
    BOTH,
    PROCESSES,
    SERVER,
    Fault,
    own_server,
    put_in,
    retention_removes_what_a_reader_needs,
    running_world,
    watchers_that_come_and_go,
    writers_that_commit_out_of_order,
)
from tests.faults.row import Violation

LARGE = 1_000


@pytest.fixture(scope="module")
def server() -> Any:
    with own_server() as running:
        yield running


async def test_whatever_happens_nothing_is_lost_in_a_file(tmp_path: pathlib.Path) -> None:
    async with running_world(tmp_path, seed=1, large=LARGE) as world:
        await put_in(world, BOTH, seed=1, rounds=1)


async def test_whatever_happens_nothing_is_lost_on_a_server(
    tmp_path: pathlib.Path, server: Any
) -> None:
    async with running_world(tmp_path, seed=1, server=server, large=LARGE) as world:
        await put_in(world, BOTH + SERVER + PROCESSES, seed=1, rounds=1)


def take_numbers_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_engine: PostgresEngine, _session: AsyncSession) -> None:
        """Leave the order to whoever commits first."""

    monkeypatch.setattr(PostgresEngine, "line_up", at_once)


def step_over_an_event_at_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ChangeFeed.subscribe

    def subscribe(self: ChangeFeed, after: ResumeToken | None = None, **asked: Any) -> Any:
        if after is not None and self._tail._read_to > after.sequence:
            after = ResumeToken(feed_id=after.feed_id, sequence=after.sequence + 1)
        return real(self, after, **asked)

    monkeypatch.setattr(ChangeFeed, "subscribe", subscribe)


def forget_what_was_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Standing, "keeps_what_follows", lambda *_: True)


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (take_numbers_without_waiting, writers_that_commit_out_of_order),
        (step_over_an_event_at_resume, watchers_that_come_and_go),
        (forget_what_was_compacted, retention_removes_what_a_reader_needs),
    ],
)
async def test_a_planted_bug_is_found(
    tmp_path: pathlib.Path,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    fault: Fault,
) -> None:
    async with running_world(tmp_path, seed=1, server=server, large=LARGE) as world:
        await put_in(world, (fault,), seed=1, rounds=1)
        plant(monkeypatch)
        with pytest.raises(Violation, match=r"missed|never told"):
            await put_in(world, (fault,), seed=1, rounds=3)
        monkeypatch.undo()
