"""Speaks to a worker directly: asks it to report what it holds and to end."""

import grpc

from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from service_runtime.clients import TokenSource, open_channel

_DEADLINE_S = 1.5  # a worker that is alive answers at once; its grace is running meanwhile


class WorkerDrain:
    """Calls ``Drain`` with the manager's own token."""

    def __init__(self, token: TokenSource) -> None:
        self._token = token

    async def __call__(self, target: str, *, reason: str) -> bool:
        """Return whether the worker at a gRPC target took the wish."""
        async with open_channel(target, token=self._token, deadline_s=_DEADLINE_S) as channel:
            stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
            try:
                await stub.Drain(worker_service_pb2.DrainRequest(reason=reason))
            except grpc.aio.AioRpcError:
                return False
            return True
