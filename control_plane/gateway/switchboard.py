"""Which workers are connected, and the task that tells them what changed for their camera.

One subscription to the change feed serves all streams. A camera has at most one stream: a worker
that connects again takes the place of its own older stream, whose end may not have been noticed.
"""

import contextlib

from control_plane.database import Database
from control_plane.encryption import VaultError
from control_plane.engines.port import KeyRingStale
from control_plane.events.feed import ChangeFeed
from control_plane.events.types import CAMERA_STATE_PREFIXES
from control_plane.gateway.session import WorkerSession
from service_runtime.errors import Aborted, OutOfRange
from service_runtime.resume_tokens import ResumeToken
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)


class Switchboard:
    """The open streams of this process, by camera."""

    def __init__(self, database: Database, feed: ChangeFeed) -> None:
        self._database = database
        self._feed = feed
        self._sessions: dict[str, WorkerSession] = {}
        self._position: ResumeToken | None = None

    async def start(self) -> ResumeToken:
        """Return the position from which ``run`` must follow; take it before serving."""
        async with self._database.read() as session:
            return await self._feed.head(session)

    async def run(self, after: ResumeToken) -> None:
        """Tell connected workers what changes for them, until the feed is closed.

        Run again with the same position it goes on where it was; where that is not kept any more,
        it looks at every stream.
        """
        try:
            await self._follow(self._position or after)
        except OutOfRange:
            self._position = await self.start()
            await self._look(set(self._sessions))
            await self._follow(self._position)

    async def _follow(self, after: ResumeToken) -> None:
        batches = self._feed.subscribe(after)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                touched = {
                    event.camera_id
                    for event in batch.events
                    if event.camera_id is not None
                    and event.camera_id in self._sessions
                    and event.type.startswith(CAMERA_STATE_PREFIXES)
                }
                if touched:
                    await self._look(touched)
                self._position = batch.resume_token

    async def connect(self, session: WorkerSession) -> None:
        """Take a stream in, in place of an older one of the same camera, and tell it its work."""
        camera_id = session.worker.camera_id
        older = self._sessions.get(camera_id)
        self._sessions[camera_id] = session
        if older is not None:
            older.outbox.close(
                Aborted("STREAM_REPLACED", "A newer stream of this worker took its place.")
            )
        async with self._database.read() as transaction:
            await session.look(transaction)

    def disconnect(self, session: WorkerSession) -> None:
        """Forget a stream that ended."""
        if self._sessions.get(session.worker.camera_id) is session:
            del self._sessions[session.worker.camera_id]

    def close(self, error: BaseException) -> None:
        """End every stream with the error."""
        for session in self._sessions.values():
            session.outbox.close(error)

    async def _look(self, camera_ids: set[str]) -> None:
        async with self._database.read() as transaction:
            for camera_id in camera_ids:
                session = self._sessions.get(camera_id)
                if session is None:
                    continue
                try:
                    await session.look(transaction)
                except (VaultError, KeyRingStale) as error:
                    # one camera's address does not open: that is its worker's end, and no other's
                    _log.error("gateway.camera_unreadable", camera_id=camera_id)
                    session.outbox.close(error)
