"""Following all cameras: a snapshot, then the present state of whatever changed.

Level-triggered: events only say which cameras to look at, what is sent is their state now. So any
number of changes while the watcher was busy or away become one state, and a state sent twice does
no harm. Heartbeats are worth an event once a minute, so the newest ones are sent on a tick.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.cameras.mapping import state_message
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database
from control_plane.events.feed import ChangeFeed, FeedBatch
from control_plane.events.shared_looks import SharedLooks
from control_plane.events.types import CAMERA_STATE_PREFIXES
from control_plane.runtime.tables import CameraRuntimeRow
from dfip.control_plane.v1.control_plane_service_pb2 import CameraState, WatchCamerasResponse
from service_runtime.clock import Clock
from service_runtime.resume_tokens import ResumeToken

SNAPSHOT_CHUNK = 500
HEARTBEAT_TICK_S = 10.0


class CameraWatch:
    """What ``WatchCameras`` sends."""

    def __init__(self, database: Database, feed: ChangeFeed, clock: Clock) -> None:
        self._database = database
        self._feed = feed
        self._clock = clock
        self._looks = SharedLooks[WatchCamerasResponse | None](clock)

    async def follow(self, after: ResumeToken | None) -> AsyncIterator[WatchCamerasResponse]:
        """Yield a snapshot (none after a resume token), then changes, without end.

        Raises:
            OutOfRange: ``RESUME_TOKEN_EXPIRED``.
        """
        looked_at = self._clock.now()
        if after is None:
            async with self._database.read() as session:
                after = await self._feed.head(session)
                states = await self._states(session)
            for response in _snapshot(states, after):
                yield response
        else:
            async with self._database.read() as session:
                await self._feed.require_kept(session, after)
            yield WatchCamerasResponse(snapshot_complete=True, resume_token=after.encode())
        batches = self._feed.subscribe(after, tick_s=HEARTBEAT_TICK_S)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                if batch.events:
                    change = await self._looks.of(batch, self._changed)
                else:
                    since, looked_at = looked_at, self._clock.now()
                    change = await self._heard(since, batch.resume_token)
                if change is not None:
                    yield change

    async def _changed(self, batch: FeedBatch) -> WatchCamerasResponse | None:
        touched = {
            event.camera_id
            for event in batch.events
            if event.camera_id and event.type.startswith(CAMERA_STATE_PREFIXES)
        }
        if not touched:
            return None
        async with self._database.read() as session:
            return await self._response(session, touched, batch.resume_token)

    async def _heard(self, since: datetime, token: ResumeToken) -> WatchCamerasResponse | None:
        async with self._database.read() as session:
            touched = await _heard_since(session, since)
            return await self._response(session, touched, token) if touched else None

    async def _response(
        self, session: AsyncSession, touched: set[str], token: ResumeToken
    ) -> WatchCamerasResponse:
        states = await self._states(session, touched)
        return WatchCamerasResponse(
            cameras=states,
            removed_camera_ids=sorted(touched - {state.camera_id for state in states}),
            snapshot_complete=True,
            resume_token=token.encode(),
        )

    async def _states(
        self, session: AsyncSession, camera_ids: Iterable[str] | None = None
    ) -> list[CameraState]:
        query = select(CameraRow, CameraRuntimeRow).join(
            CameraRuntimeRow, CameraRuntimeRow.camera_id == CameraRow.id
        )
        if camera_ids is not None:
            query = query.where(CameraRow.id.in_(camera_ids))
        now = self._clock.now()
        return [
            state_message(camera, runtime, now=now)
            for camera, runtime in await session.execute(query)
        ]


async def _heard_since(session: AsyncSession, since: datetime) -> set[str]:
    # a heartbeat that was being written while we looked last must not be missed
    query = select(CameraRuntimeRow.camera_id).where(
        CameraRuntimeRow.last_heartbeat >= since - timedelta(seconds=1)
    )
    return set(await session.scalars(query))


def _snapshot(states: list[CameraState], token: ResumeToken) -> Iterable[WatchCamerasResponse]:
    for start in range(0, len(states), SNAPSHOT_CHUNK) or (0,):
        chunk = states[start : start + SNAPSHOT_CHUNK]
        # a token before the end would let a watcher resume without the rest of the snapshot
        last = start + SNAPSHOT_CHUNK >= len(states)
        yield WatchCamerasResponse(
            cameras=chunk, snapshot_complete=last, resume_token=token.encode() if last else ""
        )
