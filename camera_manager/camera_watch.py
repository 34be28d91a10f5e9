"""Follows what is wanted of every camera: list, then watch, and list again where that breaks.

Keeps the last known view while the control plane is away, because a worker needs no control plane
to live. Resumes where it stopped; a resume token that is too old, or of another database, means a
new list, which replaces the view as a whole and so finds what was removed meanwhile. Every camera
whose view changed goes to the callback, which puts it into the work queue.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import grpc

from camera_manager.cameras import CameraView, Link
from camera_manager.mapping import camera_from
from dfip.control_plane.v1 import control_plane_service_pb2 as contract
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

_TOKEN_IS_OF_NO_USE = frozenset({grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.INVALID_ARGUMENT})


class CameraWatch:
    """The newest known view of all cameras.

    Args:
        stub: ControlPlaneServiceStub, or what answers like one.
        clock: Where time comes from.
        backoff: Waits between attempts to connect; its cap bounds how late a change is seen.
        on_change: Called with the ids of cameras to look at again.
    """

    def __init__(
        self,
        *,
        stub: Any,  # noqa: ANN401 generated stubs carry no types
        clock: Clock,
        backoff: Backoff,
        on_change: Callable[[Iterable[str]], None],
    ) -> None:
        self._stub = stub
        self._clock = clock
        self._backoff = backoff
        self._on_change = on_change
        self._cameras: dict[str, CameraView] = {}
        self._resume_token = ""
        self._relist_asked = False
        self._call: Any = None
        self._up_since: float | None = None
        self._listed_at = 0.0
        self.listed = asyncio.Event()
        """Set once the first list is complete."""

    @property
    def cameras(self) -> Mapping[str, CameraView]:
        """The cameras by id; empty until ``listed``."""
        return MappingProxyType(self._cameras)

    @property
    def link(self) -> Link:
        """How the connection stands."""
        return Link(up_since=self._up_since, listed_at=self._listed_at)

    def relist(self) -> None:
        """Read everything anew; every camera goes to the callback when that is done."""
        if self._relist_asked:
            return
        self._relist_asked = True
        if self._call is not None:
            self._call.cancel()

    async def run(self) -> None:
        """Follow the cameras until cancelled."""
        attempt = 0
        while True:
            messages = 0
            try:
                async for message in self._open():
                    messages += 1
                    attempt = 0
                    self._take(message)
                _log.info("camera_watch.ended")
            except grpc.aio.AioRpcError as error:
                self._note(error)
            except asyncio.CancelledError:
                if not self._relist_asked or _is_being_cancelled():
                    raise
                continue  # our own cancellation of the call: go and list at once
            finally:
                self._call = None
            self._up_since = None
            attempt += 1
            await self._clock.sleep(self._backoff.delay(attempt))

    def _open(self) -> Any:  # noqa: ANN401 grpc's call object
        now = self._clock.monotonic()
        if self._relist_asked:
            self._relist_asked = False
            self._resume_token = ""
        self._list: dict[str, CameraView] | None = None if self._resume_token else {}
        self._asked_at = now
        if self._up_since is None:
            self._up_since = now
        self._call = self._stub.WatchCameras(
            contract.WatchCamerasRequest(resume_token=self._resume_token)
        )
        return self._call

    def _take(self, message: contract.WatchCamerasResponse) -> None:
        changed = {state.camera_id: self._view_of(state) for state in message.cameras}
        if self._list is None:
            self._cameras.update(changed)
            for camera_id in message.removed_camera_ids:
                self._cameras.pop(camera_id, None)
            self._resume_token = message.resume_token
            self._on_change([*changed, *message.removed_camera_ids])
            return
        self._list.update(changed)
        for camera_id in message.removed_camera_ids:
            self._list.pop(camera_id, None)
        if not message.snapshot_complete:
            return
        concerned = self._cameras.keys() | self._list.keys()
        self._cameras, self._list = self._list, None
        self._listed_at = self._asked_at
        self._resume_token = message.resume_token
        self.listed.set()
        self._on_change(concerned)

    def _view_of(self, state: contract.CameraState) -> CameraView:
        known = self._cameras.get(state.camera_id)
        view = camera_from(state, heard_at=None if known is None else known.heard_at)
        if known is None or known.row.last_heartbeat == view.row.last_heartbeat:
            return view
        return replace(view, heard_at=self._clock.monotonic())

    def _note(self, error: grpc.aio.AioRpcError) -> None:
        if self._up_since is not None:
            _log.warning("camera_watch.lost", code=error.code().name)
        if error.code() in _TOKEN_IS_OF_NO_USE:
            self._resume_token = ""


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
