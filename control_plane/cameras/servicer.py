"""``ControlPlaneService``: the camera registry, as the contract spells it.

Thin: requests become values (``requests``), the registry decides (``registry``), rows become
messages (``mapping``).
"""

from collections.abc import AsyncIterator

import grpc

from control_plane.access import current_scope, require_camera
from control_plane.cameras import listing, requests
from control_plane.cameras.connection_string import ConnectionRules
from control_plane.cameras.mapping import (
    camera_message,
    checked_json,
    summary_message,
    with_runtime_message,
)
from control_plane.cameras.model import DESIRED_STATE_OF, HEALTH_INFO_BYTES
from control_plane.cameras.registry import CameraAndRuntime, CameraChange, CameraRegistry, load
from control_plane.cameras.watch import CameraWatch
from control_plane.database import Database, Transaction
from control_plane.leases.store import hold_term
from control_plane.runtime.mapping import observation, timestamp
from control_plane.runtime.model import Observation, health_of_status
from control_plane.runtime.store import record_heartbeat, record_report
from dfip.control_plane.v1 import camera_pb2, control_plane_service_pb2_grpc
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from service_runtime.authentication import current_caller
from service_runtime.clock import Clock
from service_runtime.resume_tokens import ResumeToken

NEXT_PAGE_TOKEN = "x-next-page-token"  # noqa: S105 - the name of a header


class ControlPlaneServicer(control_plane_service_pb2_grpc.ControlPlaneServiceServicer):
    """Answers for the camera registry."""

    def __init__(
        self,
        *,
        database: Database,
        registry: CameraRegistry,
        watch: CameraWatch,
        clock: Clock,
        connections: ConnectionRules,
        site_pack: str,
    ) -> None:
        self._database = database
        self._registry = registry
        self._watch = watch
        self._clock = clock
        self._connections = connections
        self._site_pack = site_pack

    async def CreateCamera(
        self, request: pb.CreateCameraRequest, context: grpc.aio.ServicerContext
    ) -> pb.CreateCameraResponse:
        """Register a camera."""
        del context
        camera = requests.new_camera(request, self._connections)
        created = await self._registry.create(
            camera, request_id=request.request_id, request_digest=requests.digest_of(request)
        )
        return pb.CreateCameraResponse(
            success=True, message="Camera created successfully", data=self._camera(created)
        )

    async def ListCameras(
        self, request: pb.ListCamerasRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[camera_pb2.CameraSummary]:
        """List the cameras; everything is read before the first one is sent."""
        wanted = listing.CameraFilter(
            health=request.status,
            desired_state=request.desired_state,
            location=request.location,
            cameras=current_scope().cameras,
        )
        now = self._clock.now()
        async with self._database.read() as session:
            page = await listing.read_page(
                session, wanted, page_size=request.page_size, page_token=request.page_token, now=now
            )
        if page.next_page_token:
            await context.send_initial_metadata(((NEXT_PAGE_TOKEN, page.next_page_token),))
        for camera, runtime in page.cameras:
            yield summary_message(camera, runtime, now=now)

    async def GetCamera(
        self, request: pb.GetCameraRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetCameraResponse:
        """Read one camera."""
        del context
        async with self._database.read() as session:
            found = await load(session, require_camera(request.camera_id))
        return pb.GetCameraResponse(
            success=True, message="Camera retrieved successfully", data=self._camera(found)
        )

    async def UpdateCamera(
        self, request: pb.UpdateCameraRequest, context: grpc.aio.ServicerContext
    ) -> pb.UpdateCameraResponse:
        """Change what the request names."""
        del context
        camera_id = require_camera(request.camera_id)
        change = requests.camera_change(request, self._connections)
        changed = await self._registry.update(camera_id, change)
        return pb.UpdateCameraResponse(
            success=True, message="Camera updated successfully", data=self._camera(changed)
        )

    async def SetCameraStatus(
        self, request: pb.SetCameraStatusRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetCameraStatusResponse:
        """Enable or disable a camera."""
        del context
        state = DESIRED_STATE_OF[request.status]
        changed = await self._registry.update(
            require_camera(request.camera_id), CameraChange(desired_state=state)
        )
        return pb.SetCameraStatusResponse(
            success=True, message="Camera status updated successfully", data=self._camera(changed)
        )

    async def DeleteCamera(
        self, request: pb.DeleteCameraRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteCameraResponse:
        """Remove a camera, its runtime, its sightings and its telemetry."""
        del context
        await self._registry.delete(require_camera(request.camera_id))
        return pb.DeleteCameraResponse(success=True, message="Camera deleted successfully")

    async def ListCameraRuntimes(
        self, request: pb.ListCameraRuntimesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListCameraRuntimesResponse:
        """List the cameras with what is observed of each."""
        del context
        now = self._clock.now()
        async with self._database.read() as session:
            page = await listing.read_page(
                session,
                listing.CameraFilter(cameras=current_scope().cameras),
                page_size=request.page_size,
                page_token=request.page_token,
                now=now,
            )
        return pb.ListCameraRuntimesResponse(
            success=True,
            message="Cameras with runtime status retrieved successfully",
            data=[
                with_runtime_message(camera, runtime, now=now) for camera, runtime in page.cameras
            ],
            next_page_token=page.next_page_token,
        )

    async def ReportHeartbeat(
        self, request: pb.ReportHeartbeatRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReportHeartbeatResponse:
        """Take a worker's word that it lives."""
        del context
        caller = current_caller()
        camera_id = require_camera(request.camera_id)
        health_info = checked_json("health_info", request.health_info, max_bytes=HEALTH_INFO_BYTES)
        observed = Observation(
            worker_status=request.status, health_status=health_of_status(request.status)
        )

        async def record(tx: Transaction) -> None:
            await record_heartbeat(tx, camera_id, caller.epoch, observed, health_info=health_info)

        await self._database.transact(record)
        return pb.ReportHeartbeatResponse(success=True, message="Heartbeat received")

    async def RetryCamera(
        self, request: pb.RetryCameraRequest, context: grpc.aio.ServicerContext
    ) -> pb.RetryCameraResponse:
        """Skip the wait of a camera that backs off."""
        del context
        await self._registry.retry(require_camera(request.camera_id))
        return pb.RetryCameraResponse(success=True, message="Camera is tried again")

    async def WatchCameras(
        self, request: pb.WatchCamerasRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchCamerasResponse]:
        """Follow all cameras: a snapshot, then changes."""
        del context
        after = ResumeToken.decode(request.resume_token) if request.resume_token else None
        async for response in self._watch.follow(after):
            yield response

    async def ReportRuntimes(
        self, request: pb.ReportRuntimesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReportRuntimesResponse:
        """Take what the manager sees of its workers, in one transaction."""
        del context
        # in one order, so that two managers do not wait for each other
        reports = sorted(
            ((report, observation(report)) for report in request.reports),
            key=lambda pair: pair[0].camera_id,
        )

        async def record(tx: Transaction) -> set[str]:
            await hold_term(tx, request.lease_term)
            return {
                report.camera_id
                for report, observed in reports
                if not await record_report(
                    tx, report.camera_id, report.epoch, observed, pod_name=report.pod_name
                )
            }

        refused = await self._database.transact(record)
        listed = [report.camera_id for report in request.reports if report.camera_id in refused]
        return pb.ReportRuntimesResponse(refused_camera_ids=listed)

    async def IssueWorkerToken(
        self, request: pb.IssueWorkerTokenRequest, context: grpc.aio.ServicerContext
    ) -> pb.IssueWorkerTokenResponse:
        """Open a new epoch and make the token of its worker."""
        del context
        issued, epoch = await self._registry.issue_worker_token(
            require_camera(request.camera_id), lease_term=request.lease_term
        )
        return pb.IssueWorkerTokenResponse(
            token=issued.token.reveal(), epoch=epoch, expires_at=timestamp(issued.expires_at)
        )

    def _camera(self, found: CameraAndRuntime) -> camera_pb2.Camera:
        return camera_message(*found, site_pack=self._site_pack)
