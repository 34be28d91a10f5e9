"""A control plane that serves, on a clock that stands still, and clients of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.virtual_clock import VirtualClock

RTSP = "rtsp://user:canary-pass@10.0.0.5:554/stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running control plane, and what tests do with it most."""

    running: RunningControlPlane
    clock: VirtualClock

    def cameras(self, role: str = "admin", **token: Any) -> Any:
        return ControlPlaneServiceStub(self.running.channel(role, **token))

    async def camera(self, name: str = "Front door", **fields: Any) -> str:
        """Register a camera, wanted running unless told otherwise, and return its id."""
        request = pb.CreateCameraRequest(
            **({"name": name, "connection_string": RTSP, "desired_state": "running"} | fields)
        )
        created = await self.cameras().CreateCamera(request)
        return str(created.data.id)

    async def worker_token(self, camera_id: str) -> tuple[str, int]:
        request = pb.IssueWorkerTokenRequest(camera_id=camera_id)
        issued = await self.cameras("manager").IssueWorkerToken(request)
        return issued.token, issued.epoch

    async def runtime(self, camera_id: str) -> Any:
        listed = await self.cameras().ListCameraRuntimes(pb.ListCameraRuntimesRequest())
        (found,) = [camera.runtime for camera in listed.data if camera.id == camera_id]
        return found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def site(tmp_path: Path, clock: VirtualClock, database_engine: str) -> AsyncIterator[Site]:
    del database_engine  # chosen, for the control plane
    async with running_control_plane(tmp_path, clock=clock) as running:
        yield Site(running=running, clock=clock)
        assert not running.stopping, "a root task of the control plane crashed"
