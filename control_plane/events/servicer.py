"""``EventService``: the change feed for clients, as server-sent events and as typed messages.

Both begin with the position that they start from, so that a client that loses the connection before
its first event still misses nothing.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

import grpc
from google.api import httpbody_pb2

from control_plane.access import CameraScope, current_scope
from control_plane.events.feed import ChangeFeed, FeedBatch
from control_plane.events.mapping import Renderings
from control_plane.events.model import FeedEvent
from control_plane.events.types import INTERNAL_PREFIX
from dfip.control_plane.v1 import event_service_pb2 as pb
from dfip.control_plane.v1 import event_service_pb2_grpc
from service_runtime.identifiers import parse_id
from service_runtime.resume_tokens import ResumeToken

KEEP_ALIVE_S = 15.0
RECONNECT_MS = 2000
LAST_EVENT_ID = "last-event-id"
# many small events share a message; a large one has its own
_CHUNK_BYTES: Final = 32 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    types: frozenset[str]
    camera_id: str
    scope: CameraScope

    def holds(self, event: FeedEvent) -> bool:
        return (
            not event.type.startswith(INTERNAL_PREFIX)
            and (not self.types or event.type in self.types)
            and (not self.camera_id or event.camera_id == self.camera_id)
            and self.scope.holds(event.camera_id)
        )


class EventServicer(event_service_pb2_grpc.EventServiceServicer):
    """Answers for the change feed."""

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._renderings = Renderings()

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """Stream server-sent events (WHATWG HTML, "Server-sent events")."""
        wanted = _selection(request)
        token = _last_event_id(context) or request.resume_token
        opening = f"retry: {RECONNECT_MS}\n"
        async for batch in self._follow(token):
            if not batch.events:
                # an id without data moves the client's position and is no event
                still_here = f": still here\nid: {batch.resume_token.encode()}\n\n"
                yield _chunk((opening + still_here).encode())
                opening = ""
            for blocks in self._blocks(filter(wanted.holds, batch.events)):
                yield _chunk(blocks)

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """Stream typed events; a message without an event is a checkpoint."""
        del context
        wanted = _selection(request)
        async for batch in self._follow(request.resume_token):
            if not batch.events:
                yield pb.WatchEventsResponse(resume_token=batch.resume_token.encode())
            events = filter(wanted.holds, batch.events)
            if request.events_per_message > 1:
                for several in self._together(events, request.events_per_message):
                    yield several
            else:
                for event in events:
                    yield self._renderings.response(event)

    async def _follow(self, token: str) -> AsyncIterator[FeedBatch]:
        """Yield the position to start from as an empty batch, then what follows it.

        A token that is not good any more is refused before anything is sent: behind the first
        message a REST client would see a stream that ends, and come back with the same token.
        """
        after = await self._feed.place(ResumeToken.decode(token) if token else None)
        yield FeedBatch(events=(), resume_token=after)
        batches = self._feed.subscribe(after, tick_s=KEEP_ALIVE_S)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                yield batch

    def _together(self, events: Iterator[FeedEvent], most: int) -> Iterator[pb.WatchEventsResponse]:
        """Put several events into each message, which stays small all the same."""
        several, size = pb.WatchEventsResponse(), 0
        for one in map(self._renderings.response, events):
            length = one.ByteSize()
            if several.events and (len(several.events) == most or size + length > _CHUNK_BYTES):
                yield several
                several, size = pb.WatchEventsResponse(), 0
            several.events.append(one.event)
            several.resume_token = one.resume_token
            size += length
        if several.events:
            yield several

    def _blocks(self, events: Iterator[FeedEvent]) -> Iterator[bytes]:
        """Join blocks into messages that are not too large."""
        gathered: list[bytes] = []
        size = 0
        for block in map(self._renderings.block, events):
            if gathered and size + len(block) > _CHUNK_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
            gathered.append(block)
            size += len(block)
        if gathered:
            yield b"".join(gathered)


def _selection(request: pb.StreamEventsRequest | pb.WatchEventsRequest) -> _Selection:
    camera_id = parse_id(request.camera_id, noun="camera") if request.camera_id else ""
    return _Selection(types=frozenset(request.types), camera_id=camera_id, scope=current_scope())


def _last_event_id(context: grpc.aio.ServicerContext) -> str:
    values = dict(context.invocation_metadata() or ())
    return str(values.get(LAST_EVENT_ID, ""))


def _chunk(data: bytes) -> httpbody_pb2.HttpBody:
    return httpbody_pb2.HttpBody(content_type="text/event-stream", data=data)
