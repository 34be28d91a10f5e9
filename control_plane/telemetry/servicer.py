"""``TelemetryService``: takes requests apart, lets the telemetry topic do the work, answers."""

from collections.abc import AsyncIterator

import grpc

from control_plane.access import require_camera
from control_plane.sightings.mapping import moment
from control_plane.telemetry import mapping
from control_plane.telemetry.ingest import Reporter, TelemetryIngest
from control_plane.telemetry.model import range_of
from control_plane.telemetry.store import TelemetryStore
from dfip.control_plane.v1 import telemetry_service_pb2 as pb
from dfip.control_plane.v1 import telemetry_service_pb2_grpc
from service_runtime.authentication import current_caller
from service_runtime.clock import Clock
from service_runtime.errors import PermissionDenied, Unauthenticated


class TelemetryServicer(telemetry_service_pb2_grpc.TelemetryServiceServicer):
    """Answers for ``dfip.control_plane.v1.TelemetryService``."""

    def __init__(self, *, ingest: TelemetryIngest, store: TelemetryStore, clock: Clock) -> None:
        self._ingest = ingest
        self._store = store
        self._clock = clock

    async def ReportTelemetry(
        self, request: pb.ReportTelemetryRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ReportTelemetryResponse:
        """Take one sample of a worker."""
        caller = current_caller()
        camera_id = require_camera(request.camera_id)
        reporter = Reporter(camera_id=camera_id, epoch=caller.epoch)
        await self._ingest.record_report(reporter, request)
        return pb.ReportTelemetryResponse(success=True, message="Telemetry received")

    async def StreamTelemetry(
        self,
        requests: AsyncIterator[pb.StreamTelemetryRequest],
        _context: grpc.aio.ServicerContext,
    ) -> AsyncIterator[pb.StreamTelemetryResponse]:
        """Take batches one after the other; the sender slows down with us."""
        caller = current_caller()
        if caller.camera_id is None:
            raise PermissionDenied("CAMERA_NOT_YOURS", "This token speaks for no camera.")
        reporter = Reporter(camera_id=caller.camera_id, epoch=caller.epoch)
        async for request in requests:
            if self._clock.now() >= caller.expires_at:
                raise Unauthenticated("TOKEN_EXPIRED", "The token has expired; connect anew.")
            rejected = await self._ingest.record_batch(
                reporter,
                session_id=request.session_id,
                sequence=request.sequence,
                samples=request.samples,
            )
            # only now: an acknowledgement promises that the batch is durable
            yield pb.StreamTelemetryResponse(
                session_id=request.session_id, sequence=request.sequence, rejected=rejected
            )

    async def QueryTelemetry(
        self, request: pb.QueryTelemetryRequest, _context: grpc.aio.ServicerContext
    ) -> pb.QueryTelemetryResponse:
        """Read a camera's telemetry by bucket of time."""
        wanted = range_of(
            require_camera(request.camera_id),
            zone=request.zone,
            since=moment("since", request.since) if request.HasField("since") else None,
            until=moment("until", request.until) if request.HasField("until") else None,
            bucket_s=request.bucket_s,
            now=self._clock.now(),
        )
        buckets = await self._store.buckets(wanted)
        return pb.QueryTelemetryResponse(
            success=True,
            message="Telemetry retrieved successfully",
            data=[mapping.bucket_message(bucket) for bucket in buckets],
            since=mapping.timestamp(wanted.since_us),
            until=mapping.timestamp(wanted.until_us),
            bucket_s=wanted.bucket_s,
        )
