"""Answers for the contract: reads a request, asks `search_loop` or `photographs`, maps the answer.

An ``Identify`` stream has one batch at work and leaves the next ones with gRPC's flow control, so a
caller that does not read its answers holds up nobody but itself.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from dfip.identity_index.v1 import (
    identity_index_service_pb2,
    identity_index_service_pb2_grpc,
)
from face_engine.packs import ModelPack
from face_engine.pictures import PictureRejected
from identity_index import mapping
from identity_index.embeddings import EmbeddingSpace
from identity_index.feed import GalleryFeed
from identity_index.photographs import PhotographDesk
from identity_index.search_loop import SearchLoop
from service_runtime.errors import InvalidArgument, ServiceError

_DEFAULT_K = 5
_DEFAULT_MIN_FACE_PX = 20
_PATIENCE_S = 2.0
_SHARE_OF_DEADLINE = 0.8  # leaves time to say so before the caller gives up


class IdentityIndexServicer(identity_index_service_pb2_grpc.IdentityIndexServiceServicer):
    """The index, as its callers see it."""

    def __init__(
        self,
        *,
        pack: ModelPack,
        space: EmbeddingSpace,
        search_loop: SearchLoop,
        photographs: PhotographDesk,
        feed: GalleryFeed,
    ) -> None:
        self._pack = pack
        self._space = space
        self._search_loop = search_loop
        self._photographs = photographs
        self._feed = feed

    async def AnalyzeFaces(
        self,
        request: identity_index_service_pb2.AnalyzeFacesRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",  # noqa: ARG002 the contract's signature
    ) -> identity_index_service_pb2.AnalyzeFacesResponse:
        """Find every face of a photograph, with its quality and embedding."""
        try:
            faces = await self._photographs.look_at(
                request.image, min_face_px=request.min_face_px or _DEFAULT_MIN_FACE_PX
            )
        except PictureRejected as rejected:
            raise InvalidArgument(
                f"PICTURE_{rejected.reason.upper()}", rejected.sentence
            ) from rejected
        return mapping.analyze_faces_response(faces, pack=self._pack, space=self._space)

    async def Search(
        self,
        request: identity_index_service_pb2.SearchRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> identity_index_service_pb2.SearchResponse:
        """Find the closest people for a batch of embeddings."""
        return await self._search(request, context)

    async def Identify(
        self,
        request_iterator: AsyncIterator[identity_index_service_pb2.IdentifyRequest],
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> AsyncIterator[identity_index_service_pb2.IdentifyResponse]:
        """Search batch after batch; a bad one ends the stream and is named in the error."""
        async for request in request_iterator:
            try:
                found = await self._search(request.search, context)
            except ServiceError as error:
                error.metadata["request_number"] = str(request.request_number)
                raise
            yield identity_index_service_pb2.IdentifyResponse(
                request_number=request.request_number, search=found
            )

    async def GetIndexStatus(
        self,
        request: identity_index_service_pb2.GetIndexStatusRequest,  # noqa: ARG002
        context: "grpc.aio.ServicerContext[Any, Any]",  # noqa: ARG002
    ) -> identity_index_service_pb2.GetIndexStatusResponse:
        """Say what the index holds and how far it has followed."""
        state = self._search_loop.state
        unreadable = self._feed.unreadable_faces
        if state is None:
            message = "The index is reading the enrolled faces."
        elif unreadable:
            message = (
                f"The index is ready; {unreadable} enrolled faces are unreadable, see its log."
            )
        else:
            message = "The index is ready."
        return identity_index_service_pb2.GetIndexStatusResponse(
            success=True,
            message=message,
            data=mapping.index_status(state, pack_id=self._space.pack_id),
        )

    async def _search(
        self,
        request: identity_index_service_pb2.SearchRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> identity_index_service_pb2.SearchResponse:
        probes = self._space.read(request.probes)
        await self._search_loop.wait_for(request.min_revision, patience_s=_patience_s(context))
        answer = await self._search_loop.search(probes, request.k or _DEFAULT_K)
        return mapping.search_response(answer)


def _patience_s(context: "grpc.aio.ServicerContext[Any, Any]") -> float:
    """Return how long to wait for the feed: 2 s, or less where the caller has less time."""
    remaining: float | None = context.time_remaining()
    return _PATIENCE_S if remaining is None else min(_PATIENCE_S, _SHARE_OF_DEADLINE * remaining)
