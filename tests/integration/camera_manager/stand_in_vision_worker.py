"""Takes the place of ``python -m vision_worker``: takes and drops cameras, drains, no more."""

import asyncio
import os
import sys
from pathlib import Path

from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from service_runtime.authentication import TokenVerifier
from service_runtime.clock import SystemClock
from service_runtime.lifecycle import Lifecycle, run_service
from service_runtime.server import Binding, Server


class Worker(worker_service_pb2_grpc.WorkerServiceServicer):
    def __init__(self) -> None:
        self.drained = asyncio.Event()
        self.cameras: set[str] = set()

    async def TakeCamera(
        self, request: worker_service_pb2.TakeCameraRequest, _context: object
    ) -> worker_service_pb2.TakeCameraResponse:
        assert request.token
        self.cameras.add(request.camera_id)
        note(f"taken-{request.camera_id}", f"{os.getpid()}")
        return worker_service_pb2.TakeCameraResponse(epoch=1)

    async def DropCamera(
        self, request: worker_service_pb2.DropCameraRequest, _context: object
    ) -> worker_service_pb2.DropCameraResponse:
        held = request.camera_id in self.cameras
        self.cameras.discard(request.camera_id)
        note(f"dropped-{request.camera_id}", request.reason)
        return worker_service_pb2.DropCameraResponse(held=held)

    async def GetWorkerStatus(
        self, _request: worker_service_pb2.GetWorkerStatusRequest, _context: object
    ) -> worker_service_pb2.GetWorkerStatusResponse:
        works = [worker_service_pb2.CameraWork(camera_id=name) for name in self.cameras]
        return worker_service_pb2.GetWorkerStatusResponse(cameras=works)

    async def Drain(
        self, request: worker_service_pb2.DrainRequest, _context: object
    ) -> worker_service_pb2.DrainResponse:
        note("drained", request.reason)
        self.drained.set()
        return worker_service_pb2.DrainResponse()


def note(name: str, text: str) -> None:
    """Leave a note in the worker's folder, all of it at once."""
    Path("note.new").write_text(text)
    Path("note.new").rename(name)


async def work(lifecycle: Lifecycle) -> None:
    clock = SystemClock()
    worker = Worker()
    server = Server(
        room="vision_worker",
        listen=os.environ["DFIP_LISTEN"],
        bindings=[
            Binding(
                descriptor=worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
                add=worker_service_pb2_grpc.add_WorkerServiceServicer_to_server,
                servicer=worker,
            )
        ],
        verifier=TokenVerifier(Path(os.environ["DFIP_JWKS_FILE"]), clock),
        clock=clock,
    )
    await server.start()
    lifecycle.stack.push_async_callback(server.stop, 1.0)
    note("ready", f"{os.getpid()}")

    async def stop_when_drained() -> None:
        await worker.drained.wait()
        lifecycle.stop()

    lifecycle.spawn("drain", stop_when_drained())
    await lifecycle.wait_for_stop()


def main() -> None:
    sys.exit(run_service("vision_worker", work))
