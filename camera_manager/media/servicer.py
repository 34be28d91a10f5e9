"""``MediaService``: finds the worker of a camera for whoever may see it, and hands its pictures on.

A camera that is not there for the caller is answered like one that never was. A stream ends when
the caller's token does (``service_runtime.interceptors.standing``), when the camera is stopped,
and after half an hour, so that no forgotten page looks for ever.
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import grpc
from google.api import httpbody_pb2

from camera_manager.camera_watch import CameraWatch
from camera_manager.leadership import Leadership
from camera_manager.media.multipart import CONTENT_TYPE, ENDING, OPENING, part, rfc3339
from camera_manager.media.worker_pictures import WorkerPictures, camera_not_found
from camera_manager.runtimes.port import WorkerRuntime
from dfip.camera_manager.v1 import media_service_pb2, media_service_pb2_grpc
from dfip.vision_worker.v1 import worker_service_pb2
from service_runtime.authentication import current_caller
from service_runtime.clock import Clock
from service_runtime.errors import Aborted, NotFound, Unavailable
from service_runtime.identifiers import parse_id

LONGEST_S: Final = 1800.0
_CAPTURED_AT: Final = "x-captured-at"


class MediaServicer(media_service_pb2_grpc.MediaServiceServicer):
    """Answers for ``dfip.camera_manager.v1.MediaService``.

    Args:
        cameras: Which cameras there are, and which shall run.
        runtime: Where their workers are.
        leadership: Whether this manager acts.
        pictures: Asks workers.
        clock: Where time comes from.
    """

    def __init__(
        self,
        *,
        cameras: CameraWatch,
        runtime: WorkerRuntime,
        leadership: Leadership,
        pictures: WorkerPictures,
        clock: Clock,
    ) -> None:
        self._cameras = cameras
        self._runtime = runtime
        self._leadership = leadership
        self._pictures = pictures
        self._clock = clock

    async def GetSnapshot(
        self, request: media_service_pb2.GetSnapshotRequest, context: grpc.aio.ServicerContext
    ) -> httpbody_pb2.HttpBody:
        """Return the next picture of a camera."""
        picture = await self._pictures.snapshot(self._worker_of(request.camera_id), request)
        captured_at = rfc3339(_time_of(picture))
        await context.send_initial_metadata(((_CAPTURED_AT, captured_at),))
        return httpbody_pb2.HttpBody(content_type="image/jpeg", data=picture.jpeg)

    async def StreamLive(
        self,
        request: media_service_pb2.StreamLiveRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002 given by gRPC
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """Send the pictures of a camera as they come."""
        until = self._clock.monotonic() + LONGEST_S
        pictures = self._pictures.watch(self._worker_of(request.camera_id), request)
        before = OPENING
        async with contextlib.aclosing(pictures):
            async for picture in pictures:
                data = before + part(picture.jpeg, _time_of(picture))
                over = self._clock.monotonic() >= until
                yield httpbody_pb2.HttpBody(
                    content_type=CONTENT_TYPE, data=data + ENDING if over else data + b"\r\n"
                )
                before = b""
                if over:
                    return

    def _worker_of(self, text: str) -> str:
        """Return where the worker of a camera is reached.

        Raises:
            NotFound: ``CAMERA_NOT_FOUND``: it is not there, or not for the caller.
            Aborted: ``CAMERA_NOT_ENABLED``: it shall not run.
            Unavailable: Nothing is known of cameras yet, or its worker is not here.
        """
        try:
            camera_id = parse_id(text, noun="camera")
        except NotFound:
            raise camera_not_found(text[:64]) from None
        own = current_caller().cameras
        if own is not None and camera_id not in own:
            raise camera_not_found(camera_id)
        if not self._cameras.listed.is_set():
            raise Unavailable(
                "MANAGER_NOT_READY",
                "The camera manager has not heard from the control plane yet; try again shortly.",
            )
        camera = self._cameras.cameras.get(camera_id)
        if camera is None:
            raise camera_not_found(camera_id)
        if not camera.wanted:
            raise Aborted(
                "CAMERA_NOT_ENABLED",
                "This camera is disabled, so it shows nothing; enable it first.",
                camera_id=camera_id,
            )
        target = self._runtime.target(camera_id)
        if target is not None:
            return target
        if not self._leadership.holds:
            raise Unavailable(
                "MANAGER_STANDS_BY",
                "Another camera manager has this camera's worker, or none yet; try again shortly.",
            )
        raise Unavailable(
            "WORKER_NOT_RUNNING",
            f"The camera's worker is not running ({_reason(camera.row.failure_reason)}); "
            "it is started again by itself.",
            failure_reason=_reason(camera.row.failure_reason),
        )


def _reason(failure_reason: str) -> str:
    return "starting" if failure_reason in {"", "none"} else failure_reason


def _time_of(picture: worker_service_pb2.Picture) -> datetime:
    return picture.captured_at.ToDatetime(UTC)
