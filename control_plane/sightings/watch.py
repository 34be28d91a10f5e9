"""Following sightings: events say which to look at, what is sent is how they are now.

So any number of reports on a track while the watcher was busy become one message.
"""

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from control_plane.access import CameraScope
from control_plane.events.feed import ChangeFeed
from control_plane.sightings.mapping import sighting_message
from control_plane.sightings.store import SightingStore
from dfip.control_plane.v1.sighting_service_pb2 import WatchSightingsResponse
from service_runtime.resume_tokens import ResumeToken

_QUIET_EVENTS: Final = 1000


class SightingWatch:
    """What ``WatchSightings`` sends."""

    def __init__(self, feed: ChangeFeed, store: SightingStore) -> None:
        self._feed = feed
        self._store = store

    async def watch(
        self, *, camera_id: str | None, scope: CameraScope, after: ResumeToken | None
    ) -> AsyncGenerator[WatchSightingsResponse]:
        """Yield a checkpoint at once, then sightings that came or changed, without end.

        Raises:
            OutOfRange: ``RESUME_TOKEN_EXPIRED``.
        """
        after = await self._feed.place(after)
        yield WatchSightingsResponse(resume_token=after.encode())
        told = after.sequence
        batches = self._feed.subscribe(after)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                touched = {
                    event.sighting_id
                    for event in batch.events
                    if event.sighting_id
                    and event.type.startswith("sighting.")
                    and camera_id in {None, event.camera_id}
                    and scope.holds(event.camera_id)
                }
                sightings = await self._store.some(touched) if touched else []
                # events of other kinds move the token too, so that it does not grow old
                if not sightings and batch.resume_token.sequence - told < _QUIET_EVENTS:
                    continue
                told = batch.resume_token.sequence
                yield WatchSightingsResponse(
                    sightings=[sighting_message(sighting) for sighting in sightings],
                    resume_token=batch.resume_token.encode(),
                )
