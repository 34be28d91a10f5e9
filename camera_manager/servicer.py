"""Answers what people ask the manager; the reconciler does the work."""

import grpc

from camera_manager.mapping import worker_to
from camera_manager.reconciler import Reconciler
from camera_manager.runtimes.port import WorkerRuntime
from dfip.camera_manager.v1 import manager_service_pb2, manager_service_pb2_grpc


class ManagerServicer(manager_service_pb2_grpc.ManagerServiceServicer):
    """ManagerService of the contract."""

    def __init__(self, *, reconciler: Reconciler, runtime: WorkerRuntime) -> None:
        self._reconciler = reconciler
        self._runtime = runtime

    async def GetManagerStatus(
        self,
        request: manager_service_pb2.GetManagerStatusRequest,  # noqa: ARG002 it has no fields
        context: grpc.aio.ServicerContext,  # noqa: ARG002 given by gRPC
    ) -> manager_service_pb2.GetManagerStatusResponse:
        """List the living workers by camera."""
        workers = [
            worker_to(worker, namespace=self._runtime.namespace, image=self._runtime.image)
            for _, worker in sorted(self._runtime.workers().items())
            if worker.end is None
        ]
        return manager_service_pb2.GetManagerStatusResponse(
            success=True,
            data=manager_service_pb2.ManagerStatus(
                is_running=self._reconciler.reconciling,
                worker_count=len(workers),
                workers=workers,
            ),
        )

    async def RestartWorker(
        self,
        request: manager_service_pb2.RestartWorkerRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 given by gRPC
    ) -> manager_service_pb2.RestartWorkerResponse:
        """End the worker of a camera and have a new one started."""
        await self._reconciler.restart(request.camera_id)
        return manager_service_pb2.RestartWorkerResponse(
            success=True, message="Worker is restarting"
        )
