"""``EventService``: the change feed for clients, as server-sent events and as typed messages.

Both begin with the position that they start from, so that a client that loses the connection before
its first event still misses nothing.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
from google.api import httpbody_pb2

from control_plane.database import Database
from control_plane.events.feed import ChangeFeed, FeedBatch
from control_plane.events.mapping import event_json, event_messages
from control_plane.events.tables import EventRow
from control_plane.events.types import INTERNAL_PREFIX
from dfip.control_plane.v1 import event_pb2, event_service_pb2_grpc
from dfip.control_plane.v1 import event_service_pb2 as pb
from service_runtime.identifiers import parse_id
from service_runtime.resume_tokens import ResumeToken

KEEP_ALIVE_S = 15.0
RECONNECT_MS = 2000
LAST_EVENT_ID = "last-event-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    types: frozenset[str]
    camera_id: str

    def holds(self, row: EventRow) -> bool:
        return (
            not row.type.startswith(INTERNAL_PREFIX)
            and (not self.types or row.type in self.types)
            and (not self.camera_id or row.camera_id == self.camera_id)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbered:
    """An event with its token; without an event, how far the feed was looked through."""

    event: event_pb2.Event | None
    resume_token: str


class EventServicer(event_service_pb2_grpc.EventServiceServicer):
    """Answers for the change feed."""

    def __init__(self, database: Database, feed: ChangeFeed) -> None:
        self._database = database
        self._feed = feed

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """Stream server-sent events (WHATWG HTML, "Server-sent events")."""
        token = _last_event_id(context) or request.resume_token
        yield _chunk(f"retry: {RECONNECT_MS}\n")
        async for numbered in self._follow(_selection(request), token):
            if numbered.event is None:
                # an id without data moves the client's position and is no event
                yield _chunk(f": still here\nid: {numbered.resume_token}\n\n")
            else:
                yield _chunk(
                    f"id: {numbered.resume_token}\n"
                    f"event: {numbered.event.type}\n"
                    f"data: {event_json(numbered.event)}\n\n"
                )

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """Stream typed events; a message without an event is a checkpoint."""
        del context
        async for numbered in self._follow(_selection(request), request.resume_token):
            yield pb.WatchEventsResponse(event=numbered.event, resume_token=numbered.resume_token)

    async def _follow(self, wanted: _Selection, token: str) -> AsyncIterator[_Numbered]:
        if token:
            after = ResumeToken.decode(token)
        else:
            async with self._database.read() as session:
                after = await self._feed.head(session)
        yield _Numbered(event=None, resume_token=after.encode())
        batches = self._feed.subscribe(after, tick_s=KEEP_ALIVE_S)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                if not batch.events:
                    yield _Numbered(event=None, resume_token=batch.resume_token.encode())
                async for numbered in self._chosen(wanted, batch):
                    yield numbered

    async def _chosen(self, wanted: _Selection, batch: FeedBatch) -> AsyncIterator[_Numbered]:
        rows = [row for row in batch.events if wanted.holds(row)]
        if not rows:
            return
        async with self._database.read() as session:
            events = await event_messages(session, rows)
        for row, event in zip(rows, events, strict=True):
            token = ResumeToken(feed_id=batch.resume_token.feed_id, sequence=row.sequence)
            yield _Numbered(event=event, resume_token=token.encode())


def _selection(request: pb.StreamEventsRequest | pb.WatchEventsRequest) -> _Selection:
    camera_id = parse_id(request.camera_id, noun="camera") if request.camera_id else ""
    return _Selection(types=frozenset(request.types), camera_id=camera_id)


def _last_event_id(context: grpc.aio.ServicerContext) -> str:
    values = dict(context.invocation_metadata() or ())
    return str(values.get(LAST_EVENT_ID, ""))


def _chunk(text: str) -> httpbody_pb2.HttpBody:
    return httpbody_pb2.HttpBody(content_type="text/event-stream", data=text.encode())
