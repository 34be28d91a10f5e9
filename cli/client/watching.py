"""Shows lists again whenever they change: redrawn on a terminal, a line a change in a pipe.

The change feed says that something happened; what it is is read from the lists themselves, so that
a watcher shows what it would show if it were started now. Lists are read again after a while
without news, too, because silence is news that nobody sends.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc

from cli.forms import Form
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import event_service_pb2, event_service_pb2_grpc
from service_runtime.clock import Clock

READ_AGAIN_S = 5.0
_TOGETHER_S = 0.3
"""Changes that come in a row are shown together."""
_RECONNECT_S = 1.0
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section(Generic[T]):
    """One list of what is watched; the first column names a thing."""

    items: Sequence[T]
    columns: Sequence[Column[T]]
    empty: str


class ChangingLists:
    """Prints lists when they differ from what was printed last.

    Args:
        output: where to. JSON is one value a line, whether or not that was asked for.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._shown: dict[tuple[int, str], tuple[str, ...]] | None = None
        self._drawn: object = None

    def show(self, *sections: Section[Any]) -> bool:
        """Print what is new; returns whether anything is."""
        if self._output.form is Form.TABLE:
            return self._redraw(sections)
        before, now = self._shown or {}, {}
        for number, section in enumerate(sections):
            for item in section.items:
                key = (number, section.columns[0].value(item))
                now[key] = tuple(c.value(item) for c in section.columns if not c.restless)
                if before.get(key) != now[key]:
                    self._output.line(item, section.columns)
        for key in before.keys() - now.keys():
            self._output.line({"id": key[1], "removed": True}, _REMOVED)
        changed = self._shown is None or before != now
        self._shown = now
        return changed

    def _redraw(self, sections: Sequence[Section[Any]]) -> bool:
        drawn = [[[c.text(item) for c in s.columns] for item in s.items] for s in sections]
        if drawn == self._drawn:
            return False
        self._drawn = drawn
        if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            self._output.raw(_CLEAR)
        for number, section in enumerate(sections):
            if number:
                self._output.raw("\n")
            self._output.listing(section.items, section.columns, empty=section.empty)
        return True


_REMOVED: tuple[Column[dict[str, Any]], ...] = (
    Column(title="id", value=lambda gone: str(gone["id"])),
    Column(title="state", value=lambda _: "removed"),
)


async def news(
    channel: grpc.aio.Channel, read: Callable[[], Awaitable[T]], talk: Talk, clock: Clock
) -> AsyncIterator[T]:
    """Yield what `read` returns: now, after each event, and after a while without any.

    A site that goes away is said once and waited for; one that is away from the start is not.
    """
    happened = asyncio.Event()
    following = asyncio.create_task(_follow_events(channel, happened, clock))
    was_there, is_away = False, False
    try:
        while True:
            happened.clear()
            try:
                found = await read()
            except grpc.aio.AioRpcError as error:
                if not was_there or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                if not is_away:
                    talk.say(
                        "The connection was lost; watching goes on once it is back.", "warning"
                    )
                is_away = True
                await clock.sleep(_RECONNECT_S)
                continue
            was_there, is_away = True, False
            yield found
            await _first_of(happened.wait(), clock.sleep(READ_AGAIN_S))
            await clock.sleep(_TOGETHER_S)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _follow_events(channel: grpc.aio.Channel, happened: asyncio.Event, clock: Clock) -> None:
    """Tell of every event; a site that does not let us follow is looked at now and then."""
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    resume_token = ""
    while True:
        request = event_service_pb2.WatchEventsRequest(resume_token=resume_token)
        try:
            async for message in stub.WatchEvents(request):
                resume_token = message.resume_token or resume_token
                happened.set()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                resume_token = ""
            elif error.code() is not grpc.StatusCode.UNAVAILABLE:
                return
        await clock.sleep(_RECONNECT_S)


async def _first_of(*works: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
