"""Tells the control plane what the manager sees of its workers.

Reports wait by camera, the newest in place of the older, and go out together: while one call is
under way the next gathers. Nothing is lost while the control plane is away, and nothing is kept
twice. A refused report means that this manager's view is old; the callback has it read anew.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from camera_manager.leadership import Leadership
from camera_manager.mapping import report_to
from camera_manager.plan import WorkerReport
from camera_manager.runtimes.port import pod_name
from dfip.control_plane.v1 import control_plane_service_pb2 as contract
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

_MOST_AT_ONCE = 1000  # the contract's bound


class RuntimeReports:
    """The reports that are on their way.

    Args:
        stub: ControlPlaneServiceStub, or what answers like one.
        clock: Where time comes from.
        backoff: Waits while the control plane is away.
        leadership: Whose term each request carries.
        on_refused: Called with the cameras whose report was refused.
    """

    def __init__(
        self,
        *,
        stub: Any,  # noqa: ANN401 generated stubs carry no types
        clock: Clock,
        backoff: Backoff,
        leadership: Leadership,
        on_refused: Callable[[Sequence[str]], None],
    ) -> None:
        self._stub = stub
        self._clock = clock
        self._backoff = backoff
        self._leadership = leadership
        self._on_refused = on_refused
        self._waiting: dict[str, WorkerReport] = {}
        self._wake = asyncio.Event()

    def submit(self, report: WorkerReport) -> None:
        """Send a report soon, in place of an older one of the same camera that still waits."""
        self._waiting[report.camera_id] = report
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        attempt = 0
        while True:
            await self._wake.wait()
            if await self.flush():
                attempt = 0
            else:
                attempt += 1
                await self._clock.sleep(self._backoff.delay(attempt))

    async def flush(self, timeout: float | None = None) -> bool:
        """Send what waits; return False where some of it has to wait on.

        Args:
            timeout: Seconds for each call; None takes the channel's default.
        """
        self._wake.clear()
        while self._waiting:
            batch = list(self._waiting.values())[:_MOST_AT_ONCE]
            if not await self._send(batch, timeout):
                self._wake.set()
                return False
        return True

    async def _send(self, batch: Sequence[WorkerReport], timeout: float | None) -> bool:
        request = contract.ReportRuntimesRequest(
            reports=[report_to(report, pod_name=pod_name(report.camera_id)) for report in batch],
            lease_term=self._leadership.term,
        )
        try:
            response = await self._stub.ReportRuntimes(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                # another manager acts: what this one saw is not its business any more
                self._leadership.lost()
                self._forget(batch)
                return True
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                return False
            # one report that breaks a rule must not hold up the others
            if len(batch) > 1:
                sent = [await self._send([report], timeout) for report in batch]
                return all(sent)
            _log.error("runtime_report.invalid", camera_id=batch[0].camera_id)
            self._forget(batch)
            return True
        self._forget(batch)
        if response.refused_camera_ids:
            refused = list(response.refused_camera_ids)
            _log.info("runtime_report.refused", camera_ids=refused)
            self._on_refused(refused)
        return True

    def _forget(self, batch: Sequence[WorkerReport]) -> None:
        for report in batch:
            # a newer one may have come while this one was on its way
            if self._waiting.get(report.camera_id) is report:
                del self._waiting[report.camera_id]
