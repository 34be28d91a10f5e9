"""What the manager may ask this worker: how it does, and to end."""

from collections.abc import Callable
from datetime import datetime

from dfip.vision_worker.v1 import worker_service_pb2, worker_service_pb2_grpc
from vision_worker.camera import CameraWatch
from vision_worker.mapping import spool_state, stage_timings, timestamp
from vision_worker.spool.spool import ReportSpool


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
        state, stats, spool = self._watch.state, self._watch.stats, self._spool.status
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
            sightings_acknowledged=spool.sightings_acknowledged,
            sightings_pending=spool.sightings_pending,
            sightings_dropped=spool.sightings_dropped + stats.questions_dropped,
            stages=stage_timings(stats),
            accelerator_asked=state.accelerator_asked,
            accelerator_used=state.accelerator_used,
            spool=spool_state(spool),
        )

    async def Drain(
        self, _request: worker_service_pb2.DrainRequest, _context: object
    ) -> worker_service_pb2.DrainResponse:
        """Report what is left, then end."""
        self._drain()
        return worker_service_pb2.DrainResponse()
