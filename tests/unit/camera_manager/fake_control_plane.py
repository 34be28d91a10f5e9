"""A control plane small enough to be seen through, with the real one's rules for the manager.

`FakeControlPlane` holds the cameras and is a servicer of the real contract; `DirectStub` calls it
without a network, so that a virtual clock turns everything.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from dfip.control_plane.v1 import control_plane_service_pb2 as contract
from dfip.control_plane.v1 import control_plane_service_pb2_grpc, runtime_pb2
from service_runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ServiceError,
    Unavailable,
)

EPOCH_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class StoredCamera:
    wanted: bool = False
    generation: int = 1
    epoch: int = 0
    retry_counter: int = 0
    row: runtime_pb2.CameraRuntime = field(
        default_factory=lambda: runtime_pb2.CameraRuntime(
            worker_status="stopped", health_status="unknown", failure_reason="none"
        )
    )


class FakeControlPlane(control_plane_service_pb2_grpc.ControlPlaneServiceServicer):
    def __init__(self) -> None:
        self.cameras: dict[str, StoredCamera] = {}
        self.away = False
        self.writes = 0
        self.lists = 0
        self.pushes_heartbeats = True
        self.feed_id = "a"
        self.heartbeats = 0
        self._log: list[str] = []
        self._forgotten = 0
        self._news = asyncio.Event()

    # what people and workers do

    def put(self, camera_id: str, *, wanted: bool = True) -> StoredCamera:
        camera = self.cameras.setdefault(camera_id, StoredCamera())
        camera.wanted = wanted
        self._announce(camera_id)
        return camera

    def change(self, camera_id: str, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.cameras[camera_id], name, value)
        self._announce(camera_id)

    def retry(self, camera_id: str) -> None:
        self.change(camera_id, retry_counter=self.cameras[camera_id].retry_counter + 1)

    def remove(self, camera_id: str) -> None:
        del self.cameras[camera_id]
        self._announce(camera_id)

    def heartbeat(self, camera_id: str, epoch: int, status: str = "running") -> bool:
        """Take a worker's heartbeat; False where its epoch is not in force."""
        camera = self.cameras.get(camera_id)
        if camera is None or camera.epoch != epoch or self.away:
            return False
        self.heartbeats += 1
        camera.row.last_heartbeat.FromDatetime(EPOCH_TIME + timedelta(seconds=self.heartbeats))
        camera.row.worker_status = status
        camera.row.health_status = "healthy"
        camera.row.failure_reason = "none"
        camera.row.error_count = 0
        camera.row.ClearField("next_retry_at")
        if self.pushes_heartbeats:
            self._announce(camera_id)
        return True

    def set_away(self, *, away: bool) -> None:
        self.away = away
        self._wake()

    def forget_feed(self) -> None:
        """Expire all resume tokens, as a cleaned or replaced database does."""
        self._forgotten = len(self._log)
        self._wake()

    def replace_database(self) -> None:
        self.feed_id += "a"
        self.forget_feed()

    # the contract

    async def WatchCameras(
        self, request: contract.WatchCamerasRequest, _context: object
    ) -> AsyncIterator[contract.WatchCamerasResponse]:
        self._check()
        if request.resume_token:
            feed_id, _, position_text = request.resume_token.partition(":")
            position = int(position_text)
            if feed_id != self.feed_id:
                raise InvalidArgument("RESUME_TOKEN_INVALID", "Start anew.")
            if position < self._forgotten:
                raise OutOfRange("RESUME_TOKEN_EXPIRED", "Start anew.")
        else:
            self.lists += 1
            position = len(self._log)
            states = [self._state(camera_id) for camera_id in sorted(self.cameras)]
            half = len(states) // 2
            yield contract.WatchCamerasResponse(cameras=states[:half])
            yield contract.WatchCamerasResponse(
                cameras=states[half:],
                snapshot_complete=True,
                resume_token=f"{self.feed_id}:{position}",
            )
        while True:
            self._check()
            if position < len(self._log):
                concerned = sorted(set(self._log[position:]))
                position = len(self._log)
                yield contract.WatchCamerasResponse(
                    cameras=[self._state(name) for name in concerned if name in self.cameras],
                    removed_camera_ids=[name for name in concerned if name not in self.cameras],
                    snapshot_complete=True,
                    resume_token=f"{self.feed_id}:{position}",
                )
                continue
            await self._news.wait()

    async def ReportRuntimes(
        self, request: contract.ReportRuntimesRequest, _context: object
    ) -> contract.ReportRuntimesResponse:
        self._check()
        refused = []
        for report in request.reports:
            self.writes += 1
            camera = self.cameras.get(report.camera_id)
            if camera is None or camera.epoch != report.epoch:
                refused.append(report.camera_id)
                continue
            for name in (
                "worker_status", "health_status", "failure_reason", "error_count", "pod_name",
                "observed_generation",
            ):  # fmt: skip
                setattr(camera.row, name, getattr(report, name))
            camera.row.ClearField("next_retry_at")
            if report.HasField("next_retry_at"):
                camera.row.next_retry_at.CopyFrom(report.next_retry_at)
            self._announce(report.camera_id)
        return contract.ReportRuntimesResponse(refused_camera_ids=refused)

    async def IssueWorkerToken(
        self, request: contract.IssueWorkerTokenRequest, _context: object
    ) -> contract.IssueWorkerTokenResponse:
        self._check()
        camera = self.cameras.get(request.camera_id)
        if camera is None:
            raise NotFound("CAMERA_NOT_FOUND", "No camera has this id.")
        if not camera.wanted:
            raise FailedPrecondition("CAMERA_NOT_ENABLED", "This camera is disabled.")
        self.writes += 1
        camera.epoch += 1
        camera.row.worker_status = "pending"
        camera.row.health_status = "unknown"
        camera.row.ClearField("next_retry_at")
        self._announce(request.camera_id)
        return contract.IssueWorkerTokenResponse(
            token=f"token-of-{request.camera_id}-{camera.epoch}", epoch=camera.epoch
        )

    def _check(self) -> None:
        if self.away:
            raise Unavailable("AWAY", "Nobody is at home.")

    def _state(self, camera_id: str) -> contract.CameraState:
        camera = self.cameras[camera_id]
        camera.row.camera_id = camera_id
        camera.row.epoch = camera.epoch
        return contract.CameraState(
            camera_id=camera_id,
            name="a camera",
            desired_state="running" if camera.wanted else "stopped",
            generation=camera.generation,
            epoch=camera.epoch,
            runtime=camera.row,
            retry_counter=camera.retry_counter,
        )

    def _announce(self, camera_id: str) -> None:
        self._log.append(camera_id)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class DirectStub:
    """A stub whose calls reach the servicer without a network, with the errors of a real one."""

    def __init__(self, plane: FakeControlPlane) -> None:
        self._plane = plane

    def WatchCameras(self, request: contract.WatchCamerasRequest) -> "DirectStream":
        return DirectStream(self._plane.WatchCameras(request, None))

    async def ReportRuntimes(
        self, request: contract.ReportRuntimesRequest, timeout: float | None = None
    ) -> contract.ReportRuntimesResponse:
        del timeout
        await asyncio.sleep(0)
        try:
            return await self._plane.ReportRuntimes(request, None)
        except ServiceError as error:
            raise rpc_error(error) from error

    async def IssueWorkerToken(
        self, request: contract.IssueWorkerTokenRequest
    ) -> contract.IssueWorkerTokenResponse:
        await asyncio.sleep(0)
        try:
            return await self._plane.IssueWorkerToken(request, None)
        except ServiceError as error:
            raise rpc_error(error) from error


class DirectStream:
    """A server stream; ``cancel`` cuts it as gRPC does: the reader gets a CancelledError."""

    def __init__(self, messages: AsyncIterator[contract.WatchCamerasResponse]) -> None:
        self._messages = messages
        self._reading: asyncio.Task[contract.WatchCamerasResponse] | None = None
        self._cancelled = False

    def __aiter__(self) -> "DirectStream":
        return self

    async def __anext__(self) -> contract.WatchCamerasResponse:
        if self._cancelled:
            raise asyncio.CancelledError
        self._reading = asyncio.ensure_future(anext(self._messages))
        try:
            return await self._reading
        except ServiceError as error:
            raise rpc_error(error) from error

    def cancel(self) -> None:
        self._cancelled = True
        if self._reading is not None:
            self._reading.cancel()


def rpc_error(error: ServiceError) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        error.code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=error.sentence
    )
