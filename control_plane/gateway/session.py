"""One worker's stream: what it reports is written down, what changes for it is told.

Two tasks share a session: ``read`` takes the worker's messages until its stream ends, and ``look``
is called by the switchboard whenever something of the camera changed. Both only put messages into
the outbox, which the servicer sends.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.cameras.mapping import effective_model_config, json_message
from control_plane.cameras.registry import CameraRegistry
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.gateway.outbox import Outbox
from control_plane.runtime.mapping import observation
from control_plane.runtime.model import WORKED_ON, Observation
from control_plane.runtime.store import record_heartbeat
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.telemetry.ingest import Reporter, TelemetryIngest
from dfip.control_plane.v1 import worker_gateway_service_pb2 as pb
from service_runtime.clock import Clock
from service_runtime.errors import InvalidArgument

WRITE_EVERY: Final = timedelta(seconds=5)


class Intake(Protocol):
    """Where sightings go; ``control_plane.sightings.intake`` is the one of the service."""

    async def record(
        self, camera_id: str, epoch: int, session_id: str, batch: pb.SightingBatch
    ) -> None:
        """Write a batch; return once it is durable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerIdentity:
    """Which worker a stream is of, after its token and hello were checked."""

    camera_id: str
    epoch: int
    session_id: str
    pod_name: str


class WorkerSession:
    """One open stream of a worker."""

    def __init__(
        self,
        worker: WorkerIdentity,
        *,
        database: Database,
        registry: CameraRegistry,
        intake: Intake,
        telemetry: TelemetryIngest,
        clock: Clock,
        site_pack: str,
    ) -> None:
        self.worker = worker
        self.outbox = Outbox()
        self._database = database
        self._registry = registry
        self._intake = intake
        self._telemetry = telemetry
        self._rejected_samples = 0
        self._clock = clock
        self._site_pack = site_pack
        self._told_generation = 0
        self._seen_retries: int | None = None
        self._drained = False
        self._written: Observation | None = None
        self._written_at: datetime | None = None

    async def read(self, requests: AsyncIterator[pb.ConnectRequest]) -> None:
        """Take the worker's messages until it ends its stream.

        Raises:
            ServiceError: The worker may not go on, ``STALE_EPOCH`` for instance.
        """
        async for request in requests:
            match request.WhichOneof("message"):
                case "heartbeat":
                    await self._take_heartbeat(request.heartbeat)
                case "sightings":
                    worker = self.worker
                    await self._intake.record(
                        worker.camera_id, worker.epoch, worker.session_id, request.sightings
                    )
                    # only now: an acknowledgement promises that the batch is durable
                    self.outbox.acknowledge(request.sightings.sequence)
                case "telemetry":
                    await self._take_telemetry(request.telemetry)
                case _:
                    raise InvalidArgument(
                        "HELLO_REPEATED", "The hello is the first message and no other."
                    )

    async def look(self, session: AsyncSession) -> None:
        """Compare what is wanted now with what the worker was told, and tell it the difference."""
        camera = await session.get(CameraRow, self.worker.camera_id)
        runtime = await session.get(CameraRuntimeRow, self.worker.camera_id)
        if self._drained:
            return
        if camera is None or runtime is None:
            self._drain("deleted")
        elif runtime.epoch != self.worker.epoch:
            self._drain("superseded")
        elif camera.desired_state != "running":
            self._drain("stopped")
        else:
            self._tell(camera, runtime)

    def _tell(self, camera: CameraRow, runtime: CameraRuntimeRow) -> None:
        # two looks may overtake each other: what is older than what was told is no news
        if camera.generation > self._told_generation:
            self._told_generation = camera.generation
            self.outbox.assign(self._assignment(camera))
        if self._seen_retries is not None and runtime.retry_counter > self._seen_retries:
            self.outbox.retry()
        self._seen_retries = max(runtime.retry_counter, self._seen_retries or 0)

    def _drain(self, reason: str) -> None:
        self._drained = True
        self.outbox.drain(reason)

    def _assignment(self, camera: CameraRow) -> pb.Assignment:
        return pb.Assignment(
            camera_id=camera.id,
            epoch=self.worker.epoch,
            connection_string=self._registry.connection_string(camera),
            model_config=effective_model_config(camera.model_settings, site_pack=self._site_pack),
            zone_config=json_message(camera.zone_config),
            generation=camera.generation,
        )

    async def _take_telemetry(self, batch: pb.TelemetryBatch) -> None:
        rejected = await self._telemetry.record_batch(
            Reporter(camera_id=self.worker.camera_id, epoch=self.worker.epoch),
            session_id=self.worker.session_id,
            sequence=batch.sequence,
            samples=batch.samples,
        )
        self._rejected_samples += len(rejected)
        self.outbox.acknowledge_telemetry(batch.sequence, self._rejected_samples)

    async def _take_heartbeat(self, heartbeat: pb.WorkerHeartbeat) -> None:
        observed = observation(heartbeat)
        now = self._clock.now()
        due = self._written_at is None or now - self._written_at >= WRITE_EVERY
        if observed == self._written and not due:
            return

        async def record(tx: Transaction) -> None:
            await record_heartbeat(
                tx,
                self.worker.camera_id,
                self.worker.epoch,
                observed,
                health_info=_health_info(heartbeat),
                pod_name=self.worker.pod_name,
            )

        await self._database.transact(record)
        self._written, self._written_at = observed, now


def _health_info(heartbeat: pb.WorkerHeartbeat) -> Mapping[str, Any]:
    return {
        "fps": heartbeat.fps,
        "memory_bytes": heartbeat.memory_bytes,
        "cpu_share": heartbeat.cpu_share,
        **{name: getattr(heartbeat, name) for name in WORKED_ON},
    }
