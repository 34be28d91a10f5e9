"""The worker's line to the control plane: assignment in; heartbeats, sightings, telemetry out.

One stream, opened with the worker's own token and opened again with backoff whenever it breaks. The
camera is watched meanwhile: a control plane that is away costs no sighting until the spool is full.
A stream is of one session; what an earlier process left goes out under its own, and the next stream
has the next session. ``watching`` is told what to watch; ``assembly`` learns why the line ended for
good.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import Any, Protocol

import grpc

from dfip.control_plane.v1 import (
    worker_gateway_service_pb2 as gateway_pb2,
)
from dfip.control_plane.v1 import (
    worker_gateway_service_pb2_grpc as gateway_grpc,
)
from service_runtime.backoff import Backoff
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger
from vision_worker.spool.model import BatchName, Kind
from vision_worker.spool.spool import ReportSpool

HEARTBEAT_S = 5.0
_RECONNECT_CAP_S = 5.0
_DRAIN_S = 3.0
# what the control plane says where batches before this one, or this one, were others
_SESSION_UNKNOWN = frozenset({grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.ALREADY_EXISTS})
_log = get_logger(__name__)


class Ending(Enum):
    """Why a worker has no more business with the control plane."""

    DRAINED = "drained"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 no password
    SUPERSEDED = "superseded"


class AssignmentSink(Protocol):
    """Who watches the camera."""

    def assign(self, assignment: gateway_pb2.Assignment) -> None:
        """Watch this, in place of whatever was watched."""
        ...

    def retry_now(self) -> None:
        """Skip the wait, where the source waits."""
        ...

    async def wind_down(self) -> None:
        """Stop watching and leave the last word on every track in the spool."""
        ...


class Gateway:
    """Keeps the line to the control plane.

    Args:
        channel: To the control plane, with the worker's token.
        hello: First message of every stream, but for the session id, which the spool knows.
        spool: What to report; it calls ``wake`` when there is something to send.
        sink: Who watches the camera.
        heartbeat: Makes the heartbeat of this moment.
        clock: Where time comes from.
        backoff: Waits between attempts to connect.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        hello: gateway_pb2.WorkerHello,
        spool: ReportSpool,
        sink: AssignmentSink,
        heartbeat: Callable[[], gateway_pb2.WorkerHeartbeat],
        clock: Clock,
        backoff: Backoff | None = None,
    ) -> None:
        self._stub = gateway_grpc.WorkerGatewayServiceStub(channel)
        self._hello = hello
        self._spool = spool
        self._sink = sink
        self._heartbeat = heartbeat
        self._clock = clock
        self._backoff = backoff or Backoff(initial_s=0.5, cap_s=_RECONNECT_CAP_S)
        self._work = asyncio.Event()
        self._heartbeat_due = asyncio.Event()
        self._all_acknowledged = asyncio.Event()
        self._ended = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._call: Any = None
        self._session_over = False
        spool.listen(wake=self.wake, troubled=self.beat)

    def wake(self) -> None:
        """Say that the spool holds something to send."""
        self._work.set()

    def beat(self) -> None:
        """Say that the state changed: a heartbeat goes out now, not at its next time."""
        self._heartbeat_due.set()
        self._work.set()

    async def run(self) -> Ending:
        """Keep the line until there is no more business."""
        failures = 0
        while not self._ended.is_set():
            started = self._clock.monotonic()
            ending = await self._one_stream()
            if ending is not None:
                return ending
            if self._session_over and not self._ended.is_set():
                failures = 0
                continue
            failures = 1 if self._clock.monotonic() - started > 10 * HEARTBEAT_S else failures + 1
            await self._pause(self._backoff.delay(failures))
        return Ending.DRAINED

    async def _pause(self, seconds: float) -> None:
        """Wait, but not past the end."""
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        ended = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({pause, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in (pause, ended):
            task.cancel()

    def drain(self) -> None:
        """Begin the end: stop watching, report what is left, a few seconds at most, and end."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(), name="gateway-end")

    async def _end(self) -> None:
        await self._sink.wind_down()
        self._all_acknowledged.clear()
        self.beat()
        if not self._spool.is_empty and self._call is not None:
            safe = asyncio.ensure_future(self._all_acknowledged.wait())
            deadline = asyncio.ensure_future(self._clock.sleep(_DRAIN_S))
            await asyncio.wait({safe, deadline}, return_when=asyncio.FIRST_COMPLETED)
            for task in (safe, deadline):
                task.cancel()
        self._ended.set()
        if self._call is not None:
            self._call.cancel()

    async def _one_stream(self) -> Ending | None:
        """Live through one stream; None means that it broke and another is worth a try."""
        self._spool.rewind()
        self._session_over = False
        hello = gateway_pb2.WorkerHello()
        hello.CopyFrom(self._hello)
        hello.session_id = self._spool.session_id
        call = self._stub.Connect()
        self._call = call
        admitted = asyncio.Event()
        sender = asyncio.create_task(self._send(call, hello, admitted), name="gateway-send")
        pulse = asyncio.create_task(self._pulse(), name="gateway-pulse")
        try:
            return await self._receive(call, hello.session_id, admitted)
        except asyncio.CancelledError:
            if self._ended.is_set():
                return Ending.DRAINED
            task = asyncio.current_task()
            if self._session_over and task is not None and not task.cancelling():
                return None
            raise  # somebody cancelled us, not we the call
        except grpc.aio.AioRpcError as error:
            if self._ended.is_set():
                return Ending.DRAINED
            _log.warning("gateway.broken", code=error.code().name, details=error.details())
            if error.code() in _SESSION_UNKNOWN:
                self._spool.renew_session()
            return _ending_of(error)
        finally:
            self._call = None
            call.cancel()
            for task in (sender, pulse):
                task.cancel()
            await asyncio.gather(sender, pulse, return_exceptions=True)

    async def _receive(
        self,
        responses: AsyncIterator[gateway_pb2.ConnectResponse],
        session_id: str,
        admitted: asyncio.Event,
    ) -> Ending | None:
        rejected = 0
        async for response in responses:
            admitted.set()
            match response.WhichOneof("message"):
                case "assignment":
                    self._sink.assign(response.assignment)
                case "acknowledgement":
                    sequence = response.acknowledgement.sequence
                    self._acknowledge(session_id, Kind.SIGHTINGS, sequence)
                case "telemetry_acknowledgement":
                    told = response.telemetry_acknowledgement
                    self._spool.note_rejected(max(0, told.rejected_samples - rejected))
                    rejected = told.rejected_samples
                    self._acknowledge(session_id, Kind.TELEMETRY, told.sequence)
                case "retry":
                    self._sink.retry_now()
                case "drain":
                    _log.info("gateway.drained", reason=response.drain.reason)
                    self.drain()
                case _:
                    _log.warning("gateway.unknown_message")
        return None

    def _acknowledge(self, session_id: str, kind: Kind, sequence: int) -> None:
        self._spool.acknowledge(BatchName(session_id=session_id, kind=kind, sequence=sequence))
        self._work.set()
        if self._spool.is_empty:
            self._all_acknowledged.set()

    async def _send(
        self,
        call: Any,  # noqa: ANN401 grpc's call object
        hello: gateway_pb2.WorkerHello,
        admitted: asyncio.Event,
    ) -> None:
        """Send hello and, once that was answered, whatever there is, until the stream breaks.

        A write into a call that the other side has just refused makes grpc.aio report INTERNAL in
        place of the refusal; so there is nothing but the hello that could race with one.
        """
        try:
            await call.write(gateway_pb2.ConnectRequest(hello=hello))
            await admitted.wait()
            self._heartbeat_due.set()
            while True:
                if self._heartbeat_due.is_set():
                    self._heartbeat_due.clear()
                    await call.write(gateway_pb2.ConnectRequest(heartbeat=self._heartbeat()))
                if self._spool.session_id != hello.session_id:
                    self._session_over = True
                    call.cancel()
                    return
                batch = self._spool.next_batch()
                if batch is not None:
                    await call.write(batch.message)
                    continue
                self._work.clear()
                if not self._heartbeat_due.is_set():
                    await self._work.wait()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the receiving side sees the same end, with its reason

    async def _pulse(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_S)
            self.beat()


def _ending_of(error: grpc.aio.AioRpcError) -> Ending | None:
    """Return what an error means for good; None where trying again may help."""
    if error.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return Ending.TOKEN_REFUSED
    if error.code() in {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND}:
        return Ending.SUPERSEDED
    return None
