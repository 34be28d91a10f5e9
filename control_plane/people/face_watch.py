"""The gallery as a stream, for the index: what is enrolled, a checkpoint, then every change.

The snapshot is read page by page, each page in a short transaction of its own, so that a slow
index holds no snapshot of the database open. Its revision is taken before the first page: whatever
changes while pages are read is told again by the changes after it, and index entries are keyed by
face, so telling twice does no harm.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from control_plane.database import Database
from control_plane.events.feed import ChangeFeed
from control_plane.events.model import FeedEvent
from control_plane.face_values import Embedding
from control_plane.people.mapping import enrolled_message
from control_plane.people.model import Face
from control_plane.people.store import PersonStore
from dfip.control_plane.v1 import person_service_pb2
from dfip.control_plane.v1.person_service_pb2 import WatchFacesResponse
from service_runtime.resume_tokens import ResumeToken

_CHUNK: Final = 256
_QUIET_EVENTS: Final = 1000
_FACE_EVENTS: Final = ("face.added", "face.removed")


class FaceWatch:
    """Streams the enrolled faces of a model pack."""

    def __init__(self, database: Database, feed: ChangeFeed, store: PersonStore) -> None:
        self._database = database
        self._feed = feed
        self._store = store

    async def watch(
        self, *, pack_id: str, after: ResumeToken | None
    ) -> AsyncGenerator[WatchFacesResponse]:
        """Yield the snapshot and its checkpoint, then changes; after a token, changes alone.

        Raises:
            OutOfRange: The token is not good any more; start with a snapshot.
        """
        if after is None:
            async with self._database.read() as session:
                after = await self._feed.head(session)
            async for chunk in self._snapshot(pack_id):
                yield WatchFacesResponse(added=chunk)
        else:
            async with self._database.read() as session:
                await self._feed.require_kept(session, after)
        yield _checkpoint(after)
        told = after.sequence
        batches = self._feed.subscribe(after)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                of_faces = [event for event in batch.events if event.type in _FACE_EVENTS]
                # events of other kinds move the token too, so that it does not grow old
                if not of_faces and batch.resume_token.sequence - told < _QUIET_EVENTS:
                    continue
                added, removed = await self._changes(of_faces, pack_id)
                told = batch.resume_token.sequence
                for start in range(_CHUNK, len(added), _CHUNK):
                    yield WatchFacesResponse(
                        added=added[start : start + _CHUNK], snapshot_complete=True
                    )
                message = _checkpoint(batch.resume_token)
                message.added.extend(added[:_CHUNK])
                message.removed_face_ids.extend(removed)
                yield message

    async def _snapshot(
        self, pack_id: str
    ) -> AsyncIterator[Sequence[person_service_pb2.EnrolledFace]]:
        last = ""
        while True:
            page = await self._store.enrolled_after(last, pack_id=pack_id, limit=_CHUNK)
            if not page:
                return
            yield _messages(page)
            last = page[-1][0].id

    async def _changes(
        self, events: Sequence[FeedEvent], pack_id: str
    ) -> tuple[list[person_service_pb2.EnrolledFace], list[str]]:
        added = [event.face_id for event in events if event.type == "face.added" and event.face_id]
        removed = [
            event.face_id for event in events if event.type == "face.removed" and event.face_id
        ]
        # a face that was removed again since is not found, and its removal follows
        faces = await self._store.enrolled(added, pack_id=pack_id) if added else []
        return _messages(faces), removed


def _messages(
    faces: Sequence[tuple[Face, Embedding | None]],
) -> list[person_service_pb2.EnrolledFace]:
    return [enrolled_message(face, embedding) for face, embedding in faces if embedding is not None]


def _checkpoint(token: ResumeToken) -> WatchFacesResponse:
    return WatchFacesResponse(
        revision=token.sequence, snapshot_complete=True, resume_token=token.encode()
    )
