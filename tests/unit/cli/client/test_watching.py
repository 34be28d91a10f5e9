"""What a watcher of lists sees: all of it once, then what changes, across a lost connection."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from cli.client.access import Access
from cli.client.cameras import watch_cameras
from cli.client.status import watch_status
from cli.client.watching import READ_AGAIN_S, ChangingLists, Section
from cli.failures import CommandFailed
from cli.forms import Form
from cli.output import Column, Output
from cli.talk import Talk
from tests.support.virtual_clock import VirtualClock
from tests.unit.cli.client.site import World, serving

T = TypeVar("T")
Row = dict[str, str]
COLUMNS: tuple[Column[Row], ...] = (
    Column(title="id", value=lambda row: row["id"]),
    Column(title="state", value=lambda row: row["state"]),
    Column(title="heard", value=lambda row: row.get("heard", ""), restless=True),
)


def section(*rows: Row) -> Section[Row]:
    return Section(items=rows, columns=COLUMNS, empty="Nothing.")


def test_a_pipe_gets_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    lists = ChangingLists(Output(form=Form.TSV))
    assert lists.show(section({"id": "a", "state": "on"}, {"id": "b", "state": "off"}))
    assert capsys.readouterr().out == "a\ton\t\nb\toff\t\n"
    assert not lists.show(
        section({"id": "a", "state": "on", "heard": "now"}, {"id": "b", "state": "off"})
    )
    assert lists.show(section({"id": "b", "state": "on"}))
    assert capsys.readouterr().out == "b\ton\t\na\tremoved\n"


def test_json_is_one_value_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lists = ChangingLists(Output(form=Form.JSON))
    lists.show(section({"id": "a", "state": "on"}))
    lists.show(section())
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "a", "state": "on"},
        {"id": "a", "removed": True},
    ]


def test_a_terminal_is_drawn_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    lists = ChangingLists(Output())
    lists.show(section({"id": "a", "state": "on"}))
    assert not lists.show(section({"id": "a", "state": "on"}))
    lists.show(section({"id": "a", "state": "off"}))
    drawn = capsys.readouterr().out.split("\x1b[H\x1b[2J\x1b[3J")
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", text).split() for text in drawn]
    assert plain == [[], ["id", "state", "a", "on"], ["id", "state", "a", "off"]]


class Told(Output):
    """Takes lines instead of printing them, so that a test can wait for one."""

    def __init__(self) -> None:
        super().__init__(form=Form.TSV)
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def line(self, item: T, columns: Sequence[Column[T]], **_: Any) -> None:
        self.lines.put_nowait(" ".join(column.value(item) for column in columns[1:4]))


@asynccontextmanager
async def watching(
    world: World, clock: VirtualClock, watch: Any = watch_cameras
) -> AsyncIterator[tuple[Told, Access]]:
    told = Told()
    async with serving(world) as access:
        task = asyncio.create_task(watch(access, told, Talk(), clock))
        try:
            yield told, access
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_an_event_shows_what_changed() -> None:
    world, clock = World(), VirtualClock()
    camera = world.add_camera("door")
    async with watching(world, clock) as (told, _):
        assert await told.lines.get() == "door  backoff"
        world.add_camera("yard")
        world.happening.put_nowait("camera.created")
        await ticking(clock, told, "yard  backoff")
        del world.cameras[camera.id]
        world.happening.put_nowait("camera.deleted")
        await ticking(clock, told, "removed")


async def test_silence_is_looked_at_too() -> None:
    world, clock = World(), VirtualClock()
    world.add_camera("door")
    async with watching(world, clock) as (told, _):
        await told.lines.get()
        world.add_camera("yard")
        await ticking(clock, told, "yard  backoff", by=READ_AGAIN_S)


async def test_a_lost_connection_is_said_once_and_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world, clock = World(), VirtualClock()
    world.add_camera("door")
    async with watching(world, clock) as (told, _):
        await told.lines.get()
        world.away = True
        while "connection was lost" not in capsys.readouterr().err:
            await clock.advance(1)
            await asyncio.sleep(0)
        world.add_camera("yard")
        world.away = False
        await ticking(clock, told, "yard  backoff")
    assert "connection was lost" not in capsys.readouterr().err


async def test_a_site_that_is_away_from_the_start_is_a_failure() -> None:
    world = World(away=True)
    async with serving(world) as access:
        with pytest.raises(CommandFailed, match="Going down"):
            await watch_cameras(access, Told(), Talk(), VirtualClock())


async def test_a_status_follows_a_service_that_comes_back() -> None:
    world, clock = World(manager_away=True), VirtualClock()
    async with watching(world, clock, watch_status) as (told, _):
        first = [await told.lines.get() for _ in range(3)]
        assert first[0].startswith("serving")
        assert first[1].startswith("away")
        world.manager_away = False
        await ticking(clock, told, "serving 1 worker")


async def ticking(clock: VirtualClock, told: Told, line: str, *, by: float = 0.1) -> None:
    """Let time pass until a line is printed."""
    async with asyncio.timeout(20):
        while told.lines.empty():
            await clock.advance(by)
            await asyncio.sleep(0)
    assert (await told.lines.get()).strip() == line
