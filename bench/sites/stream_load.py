"""Simulated cameras that send telemetry in batches, each on a stream of its own."""

import asyncio
import time
import uuid
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from bench.sites.control_plane import Worker
from dfip.control_plane.v1 import telemetry_service_pb2
from dfip.control_plane.v1.telemetry_pb2 import TelemetrySample
from dfip.control_plane.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from service_runtime.clients import MeshChannel


@dataclass(slots=True, kw_only=True)
class Camera:
    """A simulated camera, and what was acknowledged to it."""

    worker: Worker
    channel: MeshChannel
    start_s: int
    acknowledged: int = 0
    latencies_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How much a camera sends.

    Attributes:
        batch: Samples a batch.
        window: Batches on their way at once.
        until: Time of ``time.perf_counter`` at which it stops.
        samples: And how many it sends at most.
    """

    batch: int
    window: int
    until: float
    samples: int | None

    def is_enough(self, sent: int) -> bool:
        """Tell whether a camera that has sent so many stops."""
        done = self.samples is not None and sent >= self.samples
        return done or time.perf_counter() >= self.until


async def send(camera: Camera, wanted: Wanted) -> None:
    """Send batches until it is enough, then wait for the last answer."""
    call = TelemetryServiceStub(camera.channel).StreamTelemetry()
    session_id = str(uuid.uuid4())
    room = asyncio.Semaphore(wanted.window)
    sent_at: dict[int, float] = {}

    async def receive() -> None:
        async for answer in call:
            camera.latencies_s.append(time.perf_counter() - sent_at.pop(answer.sequence))
            camera.acknowledged += wanted.batch - len(answer.rejected)
            room.release()

    receiving = asyncio.create_task(receive())
    sequence, size = 0, wanted.batch
    while not wanted.is_enough(sequence * size):
        await room.acquire()
        sequence += 1
        samples = batch(camera.start_s, (sequence - 1) * size, size)
        sent_at[sequence] = time.perf_counter()
        await call.write(
            telemetry_service_pb2.StreamTelemetryRequest(
                session_id=session_id, sequence=sequence, samples=samples
            )
        )
    await call.done_writing()
    await receiving


def batch(start_s: int, first: int, size: int) -> list[TelemetrySample]:
    """Return samples of 10 a second, from the sample ``first`` on."""
    return [
        TelemetrySample(
            timestamp=Timestamp(seconds=start_s + at // 10, nanos=at % 10 * 100_000_000),
            occupancy=at % 7,
            confidence=0.9,
            entries=at % 3,
        )
        for at in range(first, first + size)
    ]
