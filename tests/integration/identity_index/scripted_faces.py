"""The control plane's ``WatchFaces`` as a script that a test writes while it runs.

It stands at the contract: a real server, real tokens, real messages. What the real control plane
sends is tested where the control plane is.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from dfip.control_plane.v1 import person_service_pb2, person_service_pb2_grpc
from identity_index.embeddings import EmbeddingSpace
from identity_index.faiss_gallery import GalleryFace
from service_runtime.errors import ServiceError


class WatchCall:
    """One ``WatchFaces`` call of the index, and what it gets to hear."""

    def __init__(self, request: person_service_pb2.WatchFacesRequest) -> None:
        self.request = request
        self._script: asyncio.Queue[person_service_pb2.WatchFacesResponse | ServiceError | None] = (
            asyncio.Queue()
        )

    def tell(
        self,
        space: EmbeddingSpace,
        *,
        added: Sequence[GalleryFace] = (),
        removed: Sequence[str] = (),
        revision: int,
        complete: bool = True,
    ) -> None:
        """Send a message; its resume token is ``after-<revision>``."""
        self.tell_message(
            person_service_pb2.WatchFacesResponse(
                added=[
                    person_service_pb2.EnrolledFace(
                        face_id=face.face_id,
                        person_id=face.person_id,
                        embedding=space.write(face.embedding[None]),
                    )
                    for face in added
                ],
                removed_face_ids=removed,
                revision=revision,
                snapshot_complete=complete,
                resume_token=f"after-{revision}",
            )
        )

    def tell_message(self, message: person_service_pb2.WatchFacesResponse) -> None:
        """Send a message as it is."""
        self._script.put_nowait(message)

    def break_with(self, error: ServiceError) -> None:
        """End the call with an error."""
        self._script.put_nowait(error)

    def end(self) -> None:
        """End the call as if all were said."""
        self._script.put_nowait(None)

    async def messages(self) -> AsyncIterator[person_service_pb2.WatchFacesResponse]:
        """Yield what the test says."""
        while (item := await self._script.get()) is not None:
            if isinstance(item, ServiceError):
                raise item
            yield item


class ScriptedFaces(person_service_pb2_grpc.PersonServiceServicer):
    """Answers ``WatchFaces`` as the test says."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[WatchCall] = asyncio.Queue()

    async def WatchFaces(
        self,
        request: person_service_pb2.WatchFacesRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",  # noqa: ARG002 the contract's signature
    ) -> AsyncIterator[person_service_pb2.WatchFacesResponse]:
        call = WatchCall(request)
        self._calls.put_nowait(call)
        async for message in call.messages():
            yield message

    async def next_call(self) -> WatchCall:
        """Wait for the index to call."""
        return await asyncio.wait_for(self._calls.get(), 20)
