"""Asks the identity index who a face may be, over one stream of batches.

The stream is opened with the first question and again after it broke. Questions that were under
way when it broke fail with ``IdentityUnavailable``; ``pipeline`` keeps their shots and asks again.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from dfip.identity_index.v1 import (
    embedding_pb2,
    identity_index_service_pb2,
    identity_index_service_pb2_grpc,
)
from service_runtime.structured_logging import get_logger
from vision_worker.pipeline import IdentityUnavailable
from vision_worker.sightings.decision import Candidate

_CANDIDATES = 5
_log = get_logger(__name__)


class IdentityClient:
    """The identity index as the pipeline sees it.

    Args:
        channel: To the index, with the worker's token.
        pack_id: Pack of the embeddings.
        timeout_s: Longest wait for one answer.
    """

    def __init__(self, channel: grpc.aio.Channel, *, pack_id: str, timeout_s: float = 5.0) -> None:
        self._stub = identity_index_service_pb2_grpc.IdentityIndexServiceStub(channel)
        self._pack_id = pack_id
        self._timeout_s = timeout_s
        self._call: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = 0

    async def identify(self, embeddings: NDArray[np.float32]) -> Sequence[tuple[Candidate, ...]]:
        """Return the closest people of each embedding, closest first.

        Args:
            embeddings: (n, d), each of unit length.

        Raises:
            IdentityUnavailable: The index is away, behind or too slow.
        """
        self._numbers += 1
        number = self._numbers
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._opened().write(self._request(number, embeddings))
                response = await answer
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
            self._break(error)
            raise IdentityUnavailable("the identity index does not answer") from None
        finally:
            self._waiting.pop(number, None)
        return [
            tuple(
                Candidate(person_id=c.person_id, face_id=c.face_id, score=c.score)
                for c in result.candidates
            )
            for result in response.results
        ]

    async def close(self) -> None:
        """End the stream."""
        self._break(IdentityUnavailable("closed"))
        if self._reader is not None:
            with suppress(asyncio.CancelledError):
                await self._reader

    def _opened(self) -> Any:  # noqa: ANN401 grpc's call object
        if self._call is None:
            self._call = self._stub.Identify()
            self._reader = asyncio.create_task(self._read(self._call), name="identify")
        return self._call

    async def _read(self, call: Any) -> None:  # noqa: ANN401 grpc's call object
        try:
            async for response in call:
                answer = self._waiting.get(response.request_number)
                if answer is not None and not answer.done():
                    answer.set_result(response.search)
            self._break(IdentityUnavailable("the index ended the stream"), call)
        except grpc.aio.AioRpcError as error:
            _log.warning("identify.broken", code=error.code().name, details=error.details())
            self._break(IdentityUnavailable("the stream broke"), call)

    def _break(self, error: Exception, call: Any = None) -> None:  # noqa: ANN401
        """Give up the stream; a reader of an older stream must not end a newer one."""
        if call is not None and call is not self._call:
            return
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(IdentityUnavailable(str(error)))
                answer.exception()  # retrieved here, in case nobody waits any more
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _request(
        self, number: int, embeddings: NDArray[np.float32]
    ) -> identity_index_service_pb2.IdentifyRequest:
        rows = np.ascontiguousarray(embeddings, dtype="<f4")
        return identity_index_service_pb2.IdentifyRequest(
            request_number=number,
            search=identity_index_service_pb2.SearchRequest(
                probes=embedding_pb2.EmbeddingBatch(
                    pack_id=self._pack_id, dimension=rows.shape[1], vectors=rows.tobytes()
                ),
                k=_CANDIDATES,
            ),
        )
