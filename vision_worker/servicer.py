"""What the manager may ask this worker: to take and drop cameras, what they show, and to end."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from dfip.vision_worker.v1 import worker_service_pb2 as contract
from dfip.vision_worker.v1 import worker_service_pb2_grpc
from service_runtime.secret import Secret
from vision_worker.looking.onlookers import form_of
from vision_worker.mapping import picture_message, spool_state, stage_timings, timestamp
from vision_worker.models.engines import Engines
from vision_worker.process.load import ProcessLoad
from vision_worker.watching.cameras import Cameras, Held

_SNAPSHOT_SIDE = 1280
_LIVE_SIDE = 960
_ALSO_SINGLE = [
    field.name
    for field in contract.CameraWork.DESCRIPTOR.fields
    if field.name in contract.GetWorkerStatusResponse.DESCRIPTOR.fields_by_name
]


class WorkerServicer(worker_service_pb2_grpc.WorkerServiceServicer):
    """Answers for one worker."""

    def __init__(self, *, cameras: Cameras, engines: Engines, load: ProcessLoad) -> None:
        self._cameras = cameras
        self._engines = engines
        self._load = load

    async def GetWorkerStatus(
        self, request: contract.GetWorkerStatusRequest, _context: object
    ) -> contract.GetWorkerStatusResponse:
        """Say what the worker does."""
        works = {name: _camera_work(held) for name, held in self._cameras.held.items()}
        one: dict[str, Any] = {}
        if request.camera_id or works:
            work = works[self._cameras.find(request.camera_id).camera_id]
            one = {name: getattr(work, name) for name in _ALSO_SINGLE}
        return contract.GetWorkerStatusResponse(
            **one,
            cameras=works.values(),
            capacity=self._cameras.capacity,
            memory_bytes=self._load.memory_bytes(),
            engines=self._engines.loaded,
        )

    async def TakeCamera(
        self, request: contract.TakeCameraRequest, _context: object
    ) -> contract.TakeCameraResponse:
        """Watch one more camera, or one in a newer epoch."""
        epoch = await self._cameras.take(request.camera_id, Secret(request.token))
        return contract.TakeCameraResponse(epoch=epoch)

    async def DropCamera(
        self, request: contract.DropCameraRequest, _context: object
    ) -> contract.DropCameraResponse:
        """Let go of one camera."""
        held = await self._cameras.drop(request.camera_id, reason=request.reason)
        return contract.DropCameraResponse(held=held)

    async def GetSnapshot(
        self, request: contract.GetSnapshotRequest, _context: object
    ) -> contract.GetSnapshotResponse:
        """Return the next picture of a camera."""
        form = form_of(request.longest_side, default=_SNAPSHOT_SIDE, annotated=_annotated(request))
        picture = await self._cameras.find(request.camera_id).onlookers.snapshot(form)
        return contract.GetSnapshotResponse(picture=picture_message(picture))

    async def WatchFrames(
        self, request: contract.WatchFramesRequest, _context: object
    ) -> AsyncIterator[contract.WatchFramesResponse]:
        """Send pictures as they come, until the caller leaves or there are none for too long."""
        form = form_of(request.longest_side, default=_LIVE_SIDE, annotated=_annotated(request))
        pictures = self._cameras.find(request.camera_id).onlookers.watch(form, request.fps)
        async with contextlib.aclosing(pictures):
            async for picture in pictures:
                yield contract.WatchFramesResponse(picture=picture_message(picture))

    async def Drain(
        self, _request: contract.DrainRequest, _context: object
    ) -> contract.DrainResponse:
        """Report what is left of all cameras, then end."""
        self._cameras.drain()
        return contract.DrainResponse()


def _annotated(request: contract.GetSnapshotRequest | contract.WatchFramesRequest) -> bool:
    return request.annotated or not request.HasField("annotated")


def _camera_work(held: Held) -> contract.CameraWork:
    """Return what the worker does for one camera."""
    camera = held.camera
    state, stats, spool = camera.state, camera.stats, camera.spool.status
    return contract.CameraWork(
        camera_id=camera.camera_id,
        epoch=camera.epoch,
        worker_status=state.worker_status,
        failure_reason=state.failure_reason,
        started_at=timestamp(camera.started_at),
        ending="" if held.ending is None else held.ending.value,
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
        models_loaded=camera.models_loaded,
        decoder=stats.decoder,
        decoder_reason=stats.decoder_reason,
        spool=spool_state(spool),
    )
