"""``WorkerGatewayService``: checks who connects, then lets a session and its outbox run.

Only the token that ``IssueWorkerToken`` made last for a camera opens a stream: it alone leads to
the camera's connection string. A token that somebody made for a worker of their own does not.
"""

import asyncio
from collections.abc import AsyncIterator

import grpc

from control_plane.cameras.registry import CameraRegistry
from control_plane.database import Database
from control_plane.gateway.session import Intake, WorkerIdentity, WorkerSession
from control_plane.gateway.switchboard import Switchboard
from control_plane.people.store import names
from control_plane.runtime.store import require_epoch
from control_plane.telemetry.ingest import TelemetryIngest
from dfip.control_plane.v1 import worker_gateway_service_pb2 as pb
from dfip.control_plane.v1 import worker_gateway_service_pb2_grpc
from service_runtime.authentication import current_caller
from service_runtime.clock import Clock
from service_runtime.errors import DeadlineExceeded, InvalidArgument, PermissionDenied
from service_runtime.structured_logging import get_logger

HELLO_WITHIN_S = 5.0
_log = get_logger(__name__)


class WorkerGatewayServicer(worker_gateway_service_pb2_grpc.WorkerGatewayServiceServicer):
    """Answers for the gateway."""

    def __init__(
        self,
        *,
        database: Database,
        registry: CameraRegistry,
        intake: Intake,
        telemetry: TelemetryIngest,
        switchboard: Switchboard,
        clock: Clock,
        site_pack: str,
    ) -> None:
        self._database = database
        self._registry = registry
        self._intake = intake
        self._telemetry = telemetry
        self._switchboard = switchboard
        self._clock = clock
        self._site_pack = site_pack

    async def Connect(
        self, requests: AsyncIterator[pb.ConnectRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Serve one worker until it leaves or may not go on."""
        del context
        worker = await self._admit(await self._first(requests))
        session = WorkerSession(
            worker,
            database=self._database,
            registry=self._registry,
            intake=self._intake,
            telemetry=self._telemetry,
            clock=self._clock,
            site_pack=self._site_pack,
        )
        _log.info("worker.connected", camera_id=worker.camera_id, epoch=worker.epoch)
        reading = asyncio.create_task(session.read(requests))
        reading.add_done_callback(lambda task: _close_after(task, session))
        try:
            await self._switchboard.connect(session)
            async for message in session.outbox.messages():
                yield message
        finally:
            self._switchboard.disconnect(session)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            _log.info("worker.disconnected", camera_id=worker.camera_id, epoch=worker.epoch)

    async def NamePeople(
        self, request: pb.NamePeopleRequest, _context: grpc.aio.ServicerContext
    ) -> pb.NamePeopleResponse:
        """Say what people are called, to a worker that draws them for somebody."""
        await self._require_managed()
        async with self._database.read() as session:
            return pb.NamePeopleResponse(names=await names(session, set(request.person_ids)))

    async def _first(self, requests: AsyncIterator[pb.ConnectRequest]) -> pb.WorkerHello:
        first = asyncio.ensure_future(anext(requests, None))
        deadline = asyncio.ensure_future(self._clock.sleep(HELLO_WITHIN_S))
        try:
            await asyncio.wait({first, deadline}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                raise DeadlineExceeded("HELLO_MISSING", "The hello must come within 5 seconds.")
            request = first.result()
        finally:
            first.cancel()
            deadline.cancel()
        if request is None or not request.HasField("hello"):
            raise InvalidArgument("HELLO_MISSING", "The first message must be the hello.")
        return request.hello

    async def _admit(self, hello: pb.WorkerHello) -> WorkerIdentity:
        if hello.camera_id != current_caller().camera_id:
            raise PermissionDenied(
                "CAMERA_NOT_YOURS", "This token speaks for another camera than the hello."
            )
        camera_id, epoch = await self._require_managed()
        return WorkerIdentity(
            camera_id=camera_id,
            epoch=epoch,
            session_id=hello.session_id,
            pod_name=hello.pod_name,
        )

    async def _require_managed(self) -> tuple[str, int]:
        """Return the camera and the epoch of a worker that the manager started.

        Raises:
            PermissionDenied: ``TOKEN_FOR_HEARTBEATS``, or a token of no camera.
            NotFound: The camera is gone.
            FailedPrecondition: ``STALE_EPOCH``.
        """
        caller = current_caller()
        if caller.camera_id is None:
            raise PermissionDenied("CAMERA_NOT_YOURS", "This token speaks for no camera.")
        async with self._database.read() as session:
            runtime = await require_epoch(session, caller.camera_id, caller.epoch)
        if runtime.token_id != caller.token_id:
            raise PermissionDenied(
                "TOKEN_FOR_HEARTBEATS",
                "This token is for heartbeats and telemetry; only a worker that the manager starts"
                " connects.",
            )
        return caller.camera_id, runtime.epoch


def _close_after(reading: asyncio.Task[None], session: WorkerSession) -> None:
    session.outbox.close(None if reading.cancelled() else reading.exception())
