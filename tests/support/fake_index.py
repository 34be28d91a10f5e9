"""A small identity index for tests of enrolment: its answers to pictures are told beforehand.

It serves the real contract on a real server and follows ``WatchFaces`` like the real index, so that
searches know what the control plane enrolled; only the neural networks are missing.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

from dfip.control_plane.v1 import person_service_pb2, person_service_pb2_grpc
from dfip.identity_index.v1 import embedding_pb2, identity_index_service_pb2_grpc
from dfip.identity_index.v1 import identity_index_service_pb2 as pb
from service_runtime.errors import InvalidArgument

PACK = "test-pack"
MATCH_THRESHOLD = 0.6
REVIEW_THRESHOLD = 0.4
MARGIN = 0.1
DIMENSION = 8


Gallery: TypeAlias = dict[str, tuple[str, NDArray[np.float32]]]
"""Person and embedding of each face."""


def vector(*values: float) -> NDArray[np.float32]:
    """Return a unit vector, (8,) float32, that points where ``values`` do."""
    padded = np.zeros(DIMENSION, np.float32)
    padded[: len(values)] = values
    unit: NDArray[np.float32] = (padded / np.linalg.norm(padded)).astype("<f4")
    return unit


def embedding(values: NDArray[np.float32], pack_id: str = PACK) -> embedding_pb2.EmbeddingBatch:
    return embedding_pb2.EmbeddingBatch(
        pack_id=pack_id, dimension=values.size, vectors=values.astype("<f4").tobytes()
    )


def found(
    values: NDArray[np.float32],
    *,
    verdict: str = "good",
    reasons: Sequence[str] = (),
    portrait: bytes = b"\xff\xd8\xffportrait",
    left: float = 0.1,
) -> pb.AnalyzedFace:
    """Return a face as the index tells it."""
    return pb.AnalyzedFace(
        box=embedding_pb2.BoundingBox(x=left, y=0.2, width=0.2, height=0.3),
        score=0.99,
        quality=embedding_pb2.FaceQuality(
            score=0.9 if verdict == "good" else 0.1,
            width_px=120,
            blur=0.8,
            brightness=0.5,
            verdict=verdict,
            reasons=reasons,
        ),
        embedding=embedding(values),
        portrait=portrait,
    )


class FakeIndex(identity_index_service_pb2_grpc.IdentityIndexServiceServicer):
    """Knows the faces of the pictures in ``pictures``, and whoever was enrolled."""

    def __init__(self) -> None:
        self.pictures: dict[bytes, list[pb.AnalyzedFace]] = {}
        self.revision = 0
        self._gallery: Gallery = {}
        self._changed = asyncio.Condition()

    async def AnalyzeFaces(
        self, request: pb.AnalyzeFacesRequest, _context: grpc.aio.ServicerContext
    ) -> pb.AnalyzeFacesResponse:
        if request.image not in self.pictures:
            raise InvalidArgument(
                "PICTURE_NOT_AN_IMAGE", "This is not a picture; send a JPEG, PNG or WebP file."
            )
        return pb.AnalyzeFacesResponse(
            faces=self.pictures[request.image],
            pack_id=PACK,
            match_threshold=MATCH_THRESHOLD,
            review_threshold=REVIEW_THRESHOLD,
            margin=MARGIN,
        )

    async def Search(
        self, request: pb.SearchRequest, _context: grpc.aio.ServicerContext
    ) -> pb.SearchResponse:
        async with self._changed:
            await self._changed.wait_for(lambda: self.revision >= request.min_revision)
        probe = np.frombuffer(request.probes.vectors, "<f4")
        best: dict[str, embedding_pb2.Candidate] = {}
        for face_id, (person_id, values) in self._gallery.items():
            score = float(probe @ values)
            if person_id not in best or score > best[person_id].score:
                best[person_id] = embedding_pb2.Candidate(
                    person_id=person_id, face_id=face_id, score=score
                )
        closest = sorted(best.values(), key=lambda candidate: -candidate.score)
        return pb.SearchResponse(
            results=[pb.SearchResult(candidates=closest[: request.k])], revision=self.revision
        )

    async def caught_up(self, wanted: Callable[[Gallery], bool]) -> None:
        """Wait until the gallery is as wanted."""
        async with self._changed:
            await self._changed.wait_for(lambda: wanted(self._gallery))

    async def follow(self, channel: grpc.aio.Channel) -> None:
        """Keep the gallery up to date until cancelled."""
        stub = person_service_pb2_grpc.PersonServiceStub(channel)
        request = person_service_pb2.WatchFacesRequest(pack_id=PACK)
        async for message in stub.WatchFaces(request):
            async with self._changed:
                for face in message.added:
                    values = np.frombuffer(face.embedding.vectors, "<f4")
                    self._gallery[face.face_id] = (face.person_id, values)
                for face_id in message.removed_face_ids:
                    self._gallery.pop(face_id, None)
                self.revision = max(self.revision, message.revision)
                self._changed.notify_all()
