"""What the manager may ask this worker: how it does, what the camera shows, and to end."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from service_runtime.errors import NotFound
from vision_worker.camera import CameraWatch
from vision_worker.looking.onlookers import Onlookers, form_of
from vision_worker.mapping import picture_message, stage_timings, timestamp
from vision_worker.report_spool import ReportSpool

_SNAPSHOT_SIDE = 1280
_LIVE_SIDE = 960


class WorkerServicer(worker_service_pb2_grpc.WorkerServiceServicer):
    """Answers for one worker."""

    def __init__(
        self,
        *,
        camera_id: str,
        epoch: int,
        started_at: datetime,
        watch: CameraWatch,
        spool: ReportSpool,
        drain: Callable[[], None],
    ) -> None:
        self._camera_id = camera_id
        self._epoch = epoch
        self._started_at = started_at
        self._watch = watch
        self._spool = spool
        self._drain = drain

    async def GetWorkerStatus(
        self, _request: worker_service_pb2.GetWorkerStatusRequest, _context: object
    ) -> worker_service_pb2.GetWorkerStatusResponse:
        """Say what the worker does."""
        state, stats = self._watch.state, self._watch.stats
        return worker_service_pb2.GetWorkerStatusResponse(
            camera_id=self._camera_id,
            epoch=self._epoch,
            worker_status=state.worker_status,
            failure_reason=state.failure_reason,
            started_at=timestamp(self._started_at),
            fps=stats.fps,
            frames_decoded=stats.frames_decoded,
            frames_sampled=stats.frames_sampled,
            frames_dropped=stats.frames_dropped,
            faces_detected=stats.faces_detected,
            embeddings=stats.embeddings,
            sightings_acknowledged=self._spool.acknowledged,
            sightings_pending=self._spool.pending,
            sightings_dropped=self._spool.dropped + stats.questions_dropped,
            stages=stage_timings(stats),
            accelerator_asked=state.accelerator_asked,
            accelerator_used=state.accelerator_used,
        )

    async def GetSnapshot(
        self, request: worker_service_pb2.GetSnapshotRequest, _context: object
    ) -> worker_service_pb2.GetSnapshotResponse:
        """Return the next picture of the camera."""
        form = form_of(request.longest_side, default=_SNAPSHOT_SIDE, annotated=_annotated(request))
        picture = await self._onlookers(request.camera_id).snapshot(form)
        return worker_service_pb2.GetSnapshotResponse(picture=picture_message(picture))

    async def WatchFrames(
        self, request: worker_service_pb2.WatchFramesRequest, _context: object
    ) -> AsyncIterator[worker_service_pb2.WatchFramesResponse]:
        """Send pictures as they come, until the caller leaves or there are none for too long."""
        form = form_of(request.longest_side, default=_LIVE_SIDE, annotated=_annotated(request))
        pictures = self._onlookers(request.camera_id).watch(form, request.fps)
        async with contextlib.aclosing(pictures):
            async for picture in pictures:
                yield worker_service_pb2.WatchFramesResponse(picture=picture_message(picture))

    async def Drain(
        self, _request: worker_service_pb2.DrainRequest, _context: object
    ) -> worker_service_pb2.DrainResponse:
        """Report what is left, then end."""
        self._drain()
        return worker_service_pb2.DrainResponse()

    def _onlookers(self, camera_id: str) -> Onlookers:
        if camera_id != self._camera_id:
            raise NotFound(
                "CAMERA_NOT_HERE", "This worker does not watch that camera.", camera_id=camera_id
            )
        return self._watch.onlookers


def _annotated(
    request: worker_service_pb2.GetSnapshotRequest | worker_service_pb2.WatchFramesRequest,
) -> bool:
    return request.annotated or not request.HasField("annotated")
