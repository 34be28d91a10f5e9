"""Which cameras there are, without asking the database for every sample.

Kept by the change feed. It may lag behind it by a moment, so a camera that is not in it is looked
up once; an id that is not there then never will be, since ids are never used again. The transaction
that writes a sample has the last word: this only keeps senders of nonsense from reaching it.
"""

import contextlib
from typing import Final

from sqlalchemy import select

from control_plane.cameras.tables import CameraRow
from control_plane.database import Database
from control_plane.events.feed import ChangeFeed
from control_plane.runtime.store import camera_not_found
from service_runtime.errors import OutOfRange
from service_runtime.resume_tokens import ResumeToken

_MOST_ABSENT: Final = 10_000


class KnownCameras:
    """The ids of the cameras."""

    def __init__(self, database: Database, feed: ChangeFeed) -> None:
        self._database = database
        self._feed = feed
        self._present: set[str] = set()
        # a dict keeps the order: the oldest goes first
        self._absent: dict[str, None] = {}

    async def start(self) -> ResumeToken:
        """Read the cameras and return the position from which ``run`` must follow."""
        async with self._database.read() as session:
            head = await self._feed.head(session)
            self._present = set(await session.scalars(select(CameraRow.id)))
        return head

    async def run(self, after: ResumeToken) -> None:
        """Follow what is registered and removed, until the feed is closed."""
        try:
            await self._follow(after)
        except OutOfRange:
            # after an outage, or where the database was restored: read them anew
            await self._follow(await self.start())

    async def _follow(self, after: ResumeToken) -> None:
        batches = self._feed.subscribe(after)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                for event in batch.events:
                    if event.camera_id is None:
                        continue
                    if event.type == "camera.created":
                        self._present.add(event.camera_id)
                    elif event.type == "camera.deleted":
                        self._present.discard(event.camera_id)
                        self._remember_absent(event.camera_id)

    async def require(self, camera_id: str) -> None:
        """Let a known camera pass.

        Raises:
            NotFound: ``CAMERA_NOT_FOUND``.
        """
        if camera_id in self._present:
            return
        if camera_id not in self._absent:
            async with self._database.read() as session:
                if await session.get(CameraRow, camera_id) is not None:
                    return  # the feed brings it in a moment
            self._remember_absent(camera_id)
        raise camera_not_found(camera_id)

    def _remember_absent(self, camera_id: str) -> None:
        self._absent[camera_id] = None
        if len(self._absent) > _MOST_ABSENT:
            del self._absent[next(iter(self._absent))]
