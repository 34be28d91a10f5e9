"""Asks a worker what its camera shows.

The worker's own sentences reach people as they are; what goes wrong on the way to it gets one here.
"""

from collections.abc import AsyncGenerator
from typing import Final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from dfip.camera_manager.v1 import media_service_pb2
from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from service_runtime.clients import TokenSource, open_channel
from service_runtime.errors import NotFound, ResourceExhausted, ServiceError, Unavailable
from service_runtime.structured_logging import get_logger

# the worker waits 12 s for a first picture; the edge gives the answer 15
_DEADLINE_S: Final = 14.0
_FOR_PEOPLE: Final[dict[grpc.StatusCode, type[ServiceError]]] = {
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
}
_log = get_logger(__name__)


class WorkerPictures:
    """Pictures of workers, asked for with the manager's own token."""

    def __init__(self, token: TokenSource) -> None:
        self._token = token

    async def snapshot(
        self, target: str, request: media_service_pb2.GetSnapshotRequest
    ) -> worker_service_pb2.Picture:
        """Return the next picture of the worker at a gRPC target.

        Raises:
            Unavailable: There is none; the sentence says why.
            ResourceExhausted: ``TOO_MANY_VIEWERS``.
        """
        wanted = worker_service_pb2.GetSnapshotRequest(
            camera_id=request.camera_id.lower(), longest_side=request.longest_side
        )
        if request.HasField("annotated"):
            wanted.annotated = request.annotated
        async with open_channel(target, token=self._token, deadline_s=_DEADLINE_S) as channel:
            stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
            try:
                response = await stub.GetSnapshot(wanted)
            except grpc.aio.AioRpcError as error:
                raise _for_people(error) from None
        picture: worker_service_pb2.Picture = response.picture
        return picture

    async def watch(
        self, target: str, request: media_service_pb2.StreamLiveRequest
    ) -> AsyncGenerator[worker_service_pb2.Picture]:
        """Yield pictures of the worker at a gRPC target for as long as it sends them.

        Raises:
            Unavailable: There is none, or none any more; the sentence says why.
            ResourceExhausted: ``TOO_MANY_VIEWERS``.
        """
        wanted = worker_service_pb2.WatchFramesRequest(
            camera_id=request.camera_id.lower(),
            fps=request.fps,
            longest_side=request.longest_side,
        )
        if request.HasField("annotated"):
            wanted.annotated = request.annotated
        async with open_channel(target, token=self._token) as channel:
            call = worker_service_pb2_grpc.WorkerServiceStub(channel).WatchFrames(wanted)
            try:
                async for response in call:
                    yield response.picture
            except grpc.aio.AioRpcError as error:
                raise _for_people(error) from None
            finally:
                call.cancel()


def _for_people(error: grpc.aio.AioRpcError) -> ServiceError:
    """Return what people are told of a call to a worker that failed."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status is not None else ():
        if detail.Unpack(info) and error.code() in _FOR_PEOPLE:
            told = _FOR_PEOPLE[error.code()]
            return told(info.reason, error.details() or "", **dict(info.metadata))
    _log.warning("worker.shows_nothing", code=error.code().name, reason=info.reason)
    return Unavailable(
        "WORKER_NOT_REACHED",
        "The camera's worker does not answer, it may just be starting; try again in a moment.",
    )


def camera_not_found(camera_id: str) -> NotFound:
    """Return the error for a camera that is not there, or not for the caller."""
    return NotFound(
        "CAMERA_NOT_FOUND",
        "No camera has this id; list the cameras with GET /cameras.",
        camera_id=camera_id,
    )
