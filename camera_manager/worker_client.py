"""Speaks to workers directly: hands cameras over and takes them back, asks how they do, drains."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc

from camera_manager.runtimes.worker_calls import Answer
from dfip.vision_worker.v1 import worker_service_pb2 as contract
from dfip.vision_worker.v1 import worker_service_pb2_grpc
from service_runtime.clients import TokenSource, open_channel
from service_runtime.secret import Secret

_DEADLINE_S = 1.5  # a worker that is alive answers at once; its grace is running meanwhile
_TAKE_S = 10.0  # the camera may have to be taken from itself, in an older epoch
_ANSWERS = {
    grpc.StatusCode.INVALID_ARGUMENT: Answer.TOKEN_REFUSED,
    grpc.StatusCode.FAILED_PRECONDITION: Answer.REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Answer.REFUSED,
}


class WorkerClient:
    """Calls workers with the manager's own token."""

    def __init__(self, token: TokenSource) -> None:
        self._token = token

    async def drain(self, target: str, *, reason: str) -> bool:
        """Ask a worker to end; return whether it took the wish."""
        async with self._worker(target) as stub:
            try:
                await stub.Drain(contract.DrainRequest(reason=reason))
            except grpc.aio.AioRpcError:
                return False
            return True

    async def take(self, target: str, *, camera_id: str, token: Secret) -> Answer:
        """Have a worker watch a camera."""
        request = contract.TakeCameraRequest(camera_id=camera_id, token=token.reveal())
        async with self._worker(target, deadline_s=_TAKE_S) as stub:
            try:
                await stub.TakeCamera(request)
            except grpc.aio.AioRpcError as error:
                return _ANSWERS.get(error.code(), Answer.AWAY)
            return Answer.DONE

    async def drop(self, target: str, *, camera_id: str, reason: str, deadline_s: float) -> Answer:
        """Have a worker let go of a camera; DONE once it has."""
        request = contract.DropCameraRequest(camera_id=camera_id, reason=reason)
        async with self._worker(target, deadline_s=deadline_s) as stub:
            try:
                await stub.DropCamera(request)
            except grpc.aio.AioRpcError:
                return Answer.AWAY
            return Answer.DONE

    async def cameras(self, target: str) -> Mapping[str, str] | None:
        """Return a worker's cameras, each with its ending; None where nobody answered."""
        async with self._worker(target) as stub:
            try:
                status = await stub.GetWorkerStatus(contract.GetWorkerStatusRequest())
            except grpc.aio.AioRpcError:
                return None
            return {work.camera_id: work.ending for work in status.cameras}

    @asynccontextmanager
    async def _worker(self, target: str, *, deadline_s: float = _DEADLINE_S) -> AsyncIterator[Any]:
        async with open_channel(target, token=self._token, deadline_s=deadline_s) as channel:
            yield worker_service_pb2_grpc.WorkerServiceStub(channel)
