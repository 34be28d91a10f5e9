"""Follows the enrolled faces of the control plane: a snapshot, then every change, for ever.

A snapshot is built into a gallery of its own, which takes the old one's place in one step when it
is complete; until then the old one answers. After a broken connection the feed goes on where it
was; when the control plane no longer knows that place, it starts over with a snapshot. Removals
heard while a snapshot is built leave the gallery that still answers, too. Goes on in `search_loop`.
"""

from collections.abc import Iterable
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from dfip.control_plane.v1 import person_service_pb2
from identity_index.embeddings import EmbeddingSpace
from identity_index.faiss_gallery import FlatGallery, GalleryFace
from identity_index.search_loop import Change, SearchLoop
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock
from service_runtime.errors import ServiceError
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

_TOKEN_REFUSED = ("RESUME_TOKEN_EXPIRED", "RESUME_TOKEN_INVALID")


class GalleryFeed:
    """Keeps the gallery of a search loop in step with the control plane.

    Args:
        stub: a ``PersonServiceStub``.
        search_loop: whose gallery to keep.
        space: faces of other packs or lengths are left out, and logged.
        clock: for waiting between attempts.
        backoff: how long.
    """

    def __init__(
        self,
        *,
        stub: Any,  # noqa: ANN401 generated stubs carry no types
        search_loop: SearchLoop,
        space: EmbeddingSpace,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self._stub = stub
        self._search_loop = search_loop
        self._space = space
        self._clock = clock
        self._backoff = backoff
        self._resume_token = ""
        self._building: FlatGallery | None = None
        self._removed_while_building: set[str] = set()
        self._unreadable: set[str] = set()
        self._failures = 0

    @property
    def unreadable_faces(self) -> int:
        """Return how many enrolled faces cannot be searched because they are not of our space."""
        return len(self._unreadable)

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow_one_stream()
                reason = "ENDED"
            except grpc.aio.AioRpcError as error:
                reason = _reason_of(error)
            if reason in _TOKEN_REFUSED and self._resume_token:
                _log.warning("feed.starts_over", reason=reason)
                self._resume_token = ""
                continue
            self._failures += 1
            pause_s = self._backoff.delay(self._failures)
            _log.warning("feed.lost", reason=reason, attempt=self._failures, pause_s=pause_s)
            await self._clock.sleep(pause_s)

    async def _follow_one_stream(self) -> None:
        request = person_service_pb2.WatchFacesRequest(
            resume_token=self._resume_token, pack_id=self._space.pack_id
        )
        if not self._resume_token:  # half a snapshot is worth nothing: tokens start at its end
            self._building = self._search_loop.new_gallery()
            self._removed_while_building.clear()
            self._unreadable.clear()
        call = self._stub.WatchFaces(request)
        try:
            async for message in call:
                self._failures = 0
                await self._take(message)
        finally:
            call.cancel()

    async def _take(self, message: person_service_pb2.WatchFacesResponse) -> None:
        served = self._search_loop.served
        if self._building is not None:
            await self._take_of_snapshot(message, self._building, served)
        elif served is not None and _is_checkpoint(message):
            await self._search_loop.publish(served, self._change(message), message.revision)
        elif served is not None:
            # part of a change too large for one message; its end tells the revision
            await self._search_loop.change(served, self._change(message))
        if _is_checkpoint(message):
            self._resume_token = message.resume_token

    async def _take_of_snapshot(
        self,
        message: person_service_pb2.WatchFacesResponse,
        building: FlatGallery,
        served: FlatGallery | None,
    ) -> None:
        change = self._change(message)
        if change.discard:
            self._removed_while_building.update(change.discard)
            if served is not None:
                await self._search_loop.change(served, Change(discard=change.discard))
        if not _is_checkpoint(message):
            await self._search_loop.change(building, change)
            return
        last = Change(put=change.put, discard=tuple(self._removed_while_building))
        await self._search_loop.publish(building, last, message.revision)
        self._building = None
        state = self._search_loop.state
        _log.info(
            "feed.snapshot_complete",
            revision=message.revision,
            faces=state.faces if state else 0,
            unreadable=len(self._unreadable),
        )

    def _change(self, message: person_service_pb2.WatchFacesResponse) -> Change:
        self._unreadable.difference_update(message.removed_face_ids)
        return Change(
            put=tuple(self._readable(message.added)), discard=tuple(message.removed_face_ids)
        )

    def _readable(self, faces: Iterable[person_service_pb2.EnrolledFace]) -> Iterable[GalleryFace]:
        for face in faces:
            try:
                embeddings = self._space.read(face.embedding)
                if len(embeddings) != 1:
                    raise ValueError
            except (ServiceError, ValueError) as error:
                # one bad row must not keep everybody else from being found
                self._unreadable.add(face.face_id)
                reason = error.reason if isinstance(error, ServiceError) else "NOT_ONE_EMBEDDING"
                _log.error("feed.face_unreadable", face_id=face.face_id, reason=reason)
                continue
            yield GalleryFace(
                face_id=face.face_id, person_id=face.person_id, embedding=embeddings[0]
            )


def _is_checkpoint(message: person_service_pb2.WatchFacesResponse) -> bool:
    """Tell whether everything up to its revision has been told, so that it can be resumed from."""
    return message.snapshot_complete and bool(message.resume_token)


def _reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of our own errors, else the name of the code."""
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return str(info.reason)
    return str(error.code().name)
