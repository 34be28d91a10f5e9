"""What `dfip occupancy` does: how many people a camera saw, over time."""

import math
from collections.abc import Sequence
from datetime import timedelta

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of
from cli.client.times import full_time, short_time
from cli.forms import Form
from cli.output import Column, Output
from dfip.control_plane.v1 import telemetry_pb2, telemetry_service_pb2, telemetry_service_pb2_grpc
from service_runtime.clock import Clock

_BAR = 24  # cells of the longest bar


async def show_occupancy(
    access: Access,
    output: Output,
    clock: Clock,
    *,
    camera: str,
    zone: str,
    hours: float,
    bucket_s: int,
) -> None:
    """Print the counts of a camera, or of one of its zones, bucket by bucket, oldest first."""
    until = clock.now()
    async with connected(access) as channel:
        stub = telemetry_service_pb2_grpc.TelemetryServiceStub(channel)
        request = telemetry_service_pb2.QueryTelemetryRequest(
            camera_id=await camera_id_of(channel, camera), zone=zone, bucket_s=bucket_s
        )
        request.since.FromDatetime(until - timedelta(hours=hours))
        request.until.FromDatetime(until)
        found = list((await stub.QueryTelemetry(request)).data)
    print_occupancy(found, output, where=f" in {zone}" if zone else "")


def print_occupancy(
    buckets: Sequence[telemetry_pb2.TelemetryBucket], output: Output, *, where: str = ""
) -> None:
    """Print the buckets; people see a bar for each, too."""
    most = max((bucket.occupancy_max for bucket in buckets), default=0)
    bar: Column[telemetry_pb2.TelemetryBucket] = Column(
        title="", value=lambda b: _bar(b.occupancy_mean, most)
    )
    columns = (*_COLUMNS, bar) if output.form is Form.TABLE else _COLUMNS
    output.listing(buckets, columns, empty=f"Nobody was counted{where} in that time.")


_COLUMNS: tuple[Column[telemetry_pb2.TelemetryBucket], ...] = (
    Column(
        title="from",
        value=lambda b: full_time(b.start),
        shown=lambda b: short_time(b.start),
    ),
    Column(title="people", value=lambda b: f"{b.occupancy_mean:.2f}"),
    Column(title="fewest", value=lambda b: str(b.occupancy_min), aside=True),
    Column(title="most", value=lambda b: str(b.occupancy_max)),
    Column(title="came", value=lambda b: str(b.entries)),
    Column(title="went", value=lambda b: str(b.exits)),
    Column(title="samples", value=lambda b: str(b.samples), aside=True),
    Column(
        title="confidence",
        value=lambda b: f"{b.confidence_mean:.2f}" if b.HasField("confidence_mean") else "",
        aside=True,
    ),
)


def _bar(people: float, most: int) -> str:
    """Return a bar of eighths of a cell."""
    eighths = math.ceil(people / most * _BAR * 8) if most else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (chr(0x2590 - rest) if rest else "")
