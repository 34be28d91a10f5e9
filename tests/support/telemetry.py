"""A reporter of telemetry for tests: samples, numbered batches on a stream, and what is stored."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from dfip.control_plane.v1 import telemetry_service_pb2 as pb
from dfip.control_plane.v1.telemetry_pb2 import TelemetrySample
from dfip.control_plane.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from service_runtime.identifiers import new_id


def stamp(moment: datetime) -> Timestamp:
    """Return a moment as a message."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def sample(moment: datetime, occupancy: int = 1, **fields: Any) -> TelemetrySample:
    """Return a sample."""
    values: dict[str, Any] = {"timestamp": stamp(moment), "confidence": 0.9} | fields
    return TelemetrySample(occupancy=occupancy, **values)


@dataclass(kw_only=True, slots=True)
class TelemetryStream:
    """One stream of a reporter; ``send`` waits for the acknowledgement."""

    channel: Any
    session_id: str = field(default_factory=new_id)
    sequence: int = 0
    call: Any = None

    async def send(self, *samples: TelemetrySample) -> pb.StreamTelemetryResponse:
        """Send the next batch and wait until it is durable."""
        answer = await self.send_as(self.sequence + 1, samples)
        self.sequence += 1
        return answer

    async def send_as(
        self, sequence: int, samples: Sequence[TelemetrySample]
    ) -> pb.StreamTelemetryResponse:
        """Send a batch with this number and wait until it is acknowledged.

        Raises:
            AioRpcError: The stream was ended; the next batch opens another.
        """
        if self.call is None:
            self.call = TelemetryServiceStub(self.channel).StreamTelemetry()
        request = pb.StreamTelemetryRequest(
            session_id=self.session_id, sequence=sequence, samples=samples
        )
        call = self.call
        try:
            await call.write(request)
            answer = await call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            answer = grpc.aio.EOF
        if answer is grpc.aio.EOF:
            self.call = None
            await _raise_end(call)
        assert isinstance(answer, pb.StreamTelemetryResponse)
        assert (answer.session_id, answer.sequence) == (self.session_id, sequence)
        return answer


async def _raise_end(call: Any) -> None:
    """Raise what ended a call, with its details."""
    raise grpc.aio.AioRpcError(
        await call.code(),
        await call.initial_metadata(),
        await call.trailing_metadata(),
        details=await call.details(),
    )


async def stored_seconds(channel: Any, camera_id: str, since: datetime, **asked: Any) -> list[int]:
    """Return the second after ``since`` of every stored sample, once for each."""
    request = pb.QueryTelemetryRequest(
        camera_id=camera_id,
        since=stamp(since),
        until=stamp(since + timedelta(seconds=5_000)),
        bucket_s=1,
        **asked,
    )
    answer = await TelemetryServiceStub(channel).QueryTelemetry(request)
    start = int(since.astimezone(UTC).timestamp())
    return [bucket.start.seconds - start for bucket in answer.data for _ in range(bucket.samples)]
