"""The identity index, as enrolment needs it: what is on a photograph, and who looks like it.

A client of ``IdentityIndexService`` that gives values and our own errors: what the index says of a
photograph reaches the person who sent it, everything else means that the index is away.
"""

from dataclasses import dataclass
from typing import Final, NoReturn

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from control_plane.face_values import Box, Candidate, Embedding, Quality
from dfip.identity_index.v1 import identity_index_service_pb2 as index_pb2
from dfip.identity_index.v1 import identity_index_service_pb2_grpc
from service_runtime.errors import InvalidArgument, ResourceExhausted, Unavailable
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)
ANALYSIS_DEADLINE_S: Final = 30.0
SEARCH_DEADLINE_S: Final = 10.0
_CANDIDATES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFace:
    """A face on a photograph; ``portrait`` is a JPEG of it."""

    box: Box
    quality: Quality
    embedding: Embedding
    portrait: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The faces of a photograph, largest first, and when two embeddings are of one person."""

    faces: tuple[FoundFace, ...]
    match_threshold: float
    review_threshold: float
    margin: float


class FaceAnalysis:
    """A client of the identity index.

    Args:
        channel: A channel to it that takes messages of ``PICTURE_MAX_MESSAGE_BYTES``.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = identity_index_service_pb2_grpc.IdentityIndexServiceStub(channel)

    async def analyze(self, image: bytes) -> Analysis:
        """Find the faces of a photograph.

        Raises:
            InvalidArgument: It is no picture that can be used.
            Unavailable: The index does not answer.
        """
        request = index_pb2.AnalyzeFacesRequest(image=image)
        try:
            answer = await self._stub.AnalyzeFaces(request, timeout=ANALYSIS_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            _translate(error)
        faces = tuple(
            FoundFace(
                box=Box.from_proto(face.box),
                quality=Quality.from_proto(face.quality),
                embedding=Embedding.from_proto(face.embedding),
                portrait=face.portrait,
            )
            for face in answer.faces
        )
        return Analysis(
            faces=faces,
            match_threshold=answer.match_threshold,
            review_threshold=answer.review_threshold,
            margin=answer.margin,
        )

    async def closest(self, embedding: Embedding, *, min_revision: int) -> list[Candidate]:
        """Return the closest people, closest first, of an index that knows ``min_revision``.

        Raises:
            Unavailable: The index does not answer, or does not know the revision in time.
        """
        request = index_pb2.SearchRequest(
            probes=embedding.to_proto(), k=_CANDIDATES, min_revision=min_revision
        )
        try:
            answer = await self._stub.Search(request, timeout=SEARCH_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            _translate(error)
        return [
            Candidate.from_proto(candidate)
            for result in answer.results
            for candidate in result.candidates
        ]


def _translate(error: grpc.aio.AioRpcError) -> NoReturn:
    reason = _reason(error)
    sentence = error.details() or ""
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT and reason:
        raise InvalidArgument(reason, sentence) from None
    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and reason:
        raise ResourceExhausted(reason, sentence) from None
    _log.warning("index.call_failed", code=error.code().name, reason=reason)
    raise Unavailable(
        "INDEX_NOT_REACHABLE",
        "The identity index does not answer just now; try again in a moment.",
    ) from None


def _reason(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status is not None else ():
        if detail.Unpack(info):
            return str(info.reason)
    return ""
