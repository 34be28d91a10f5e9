"""Telemetry through the real service: who may report, what counts, what is read and kept."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import event, func, select

from control_plane.telemetry.store import TelemetryStore
from control_plane.telemetry.tables import TelemetrySampleRow, TelemetrySessionRow
from dfip.control_plane.v1 import control_plane_service_pb2, token_service_pb2
from dfip.control_plane.v1 import telemetry_service_pb2 as pb
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from dfip.control_plane.v1.token_service_pb2_grpc import TokenServiceStub
from dfip.control_plane.v1.worker_gateway_service_pb2_grpc import WorkerGatewayServiceStub
from service_runtime.identifiers import new_id
from tests.integration.control_plane.conftest import Site
from tests.support.control_plane import running_control_plane
from tests.support.refusals import refused
from tests.support.sightings import report as sighting
from tests.support.telemetry import TelemetryStream, sample, stamp, stored_seconds
from tests.support.virtual_clock import VirtualClock


def later(site: Site, seconds: float) -> Any:
    return site.clock.now() + timedelta(seconds=seconds)


async def stream(site: Site, camera_id: str, **more: Any) -> TelemetryStream:
    token, _ = await site.worker_token(camera_id)
    return TelemetryStream(channel=site.running.channel(token=token), **more)


async def seconds(site: Site, camera_id: str) -> list[int]:
    channel = site.running.channel("viewer")
    return await stored_seconds(channel, camera_id, site.clock.now() - timedelta(seconds=1_000))


async def count(site: Site, row: Any) -> int:
    async with site.running.control_plane.parts.database.read() as session:
        return await session.scalar(select(func.count()).select_from(row)) or 0


def reporter(site: Site, camera_id: str, epoch: int = 0) -> Any:
    return TelemetryServiceStub(site.running.channel("worker", camera_id=camera_id, epoch=epoch))


def report(site: Site, camera_id: str, **changes: Any) -> pb.ReportTelemetryRequest:
    values: dict[str, Any] = {
        "camera_id": camera_id,
        "timestamp": stamp(site.clock.now()),
        "occupancy": 3,
    }
    return pb.ReportTelemetryRequest(**(values | changes))


async def test_a_token_for_somebodys_own_worker_reports(site: Site) -> None:
    camera_id = await site.camera()
    issued = await TokenServiceStub(site.running.channel("admin")).IssueToken(
        token_service_pb2.IssueTokenRequest(role="worker", camera_id=camera_id)
    )
    channel = site.running.channel(token=issued.data.token)
    await TelemetryServiceStub(channel).ReportTelemetry(report(site, camera_id))
    await TelemetryStream(channel=channel).send(sample(site.clock.now()))
    assert await seconds(site, camera_id) == [1_000, 1_000]
    await site.worker_token(camera_id)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await TelemetryServiceStub(channel).ReportTelemetry(report(site, camera_id))


async def test_another_cameras_token_is_refused(site: Site) -> None:
    mine, other = await site.camera("mine"), await site.camera("other")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "CAMERA_NOT_YOURS"):
        await reporter(site, mine).ReportTelemetry(report(site, other))
    ours = await stream(site, mine)
    await ours.send(sample(site.clock.now()))
    theirs = await stream(site, other, session_id=ours.session_id, sequence=1)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "SESSION_OF_ANOTHER_CAMERA"):
        await theirs.send(sample(site.clock.now()))


async def test_a_report_with_an_id_counts_once(site: Site) -> None:
    camera_id = await site.camera()
    ours = reporter(site, camera_id)
    repeated = report(site, camera_id, report_id="r-1")
    await asyncio.gather(*(ours.ReportTelemetry(repeated) for _ in range(5)))
    await ours.ReportTelemetry(repeated)
    await ours.ReportTelemetry(report(site, camera_id, report_id="r-2"))
    assert await seconds(site, camera_id) == [1_000, 1_000]


async def test_an_unknown_camera_costs_one_look_and_no_more(site: Site) -> None:
    gone = new_id()
    statements: list[str] = []
    engine = site.running.control_plane.parts.database._engine.readers
    assert engine is not None

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # retention, which looks for old request ids, may have its turn now
        if "FROM cameras" in statement and "request_id IS NOT NULL" not in statement:
            statements.append(statement)

    ours = reporter(site, gone)
    for _ in range(20):
        with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
            await ours.ReportTelemetry(report(site, gone))
    assert len(statements) == 1


async def test_a_deleted_camera_takes_nothing_and_leaves_nothing(site: Site) -> None:
    camera_id, other = await site.camera("going"), await site.camera("staying")
    ours, theirs = await stream(site, camera_id), await stream(site, other)
    await ours.send(*(sample(later(site, -at)) for at in range(1_000)))
    await theirs.send(sample(site.clock.now()))
    request = control_plane_service_pb2.DeleteCameraRequest(camera_id=camera_id)
    await site.cameras().DeleteCamera(request)
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await ours.send(sample(site.clock.now()))
    viewer = TelemetryServiceStub(site.running.channel("viewer"))
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await viewer.QueryTelemetry(pb.QueryTelemetryRequest(camera_id=camera_id))
    assert await count(site, TelemetrySessionRow) == 1
    await site.running.control_plane.parts.retention.once()
    assert await count(site, TelemetrySampleRow) == 1


async def test_a_sample_that_breaks_a_rule_is_told_and_the_rest_counts(site: Site) -> None:
    camera_id = await site.camera()
    ours = await stream(site, camera_id)
    now = site.clock.now()
    answer = await ours.send(
        sample(now),
        sample(now, confidence=float("nan")),
        sample(now - timedelta(days=8)),
        sample(now + timedelta(minutes=6)),
        sample(now, occupancy=1_000_001),
        sample(now, zone="x" * 201),
        pb.StreamTelemetryRequest(samples=[{"occupancy": 1}]).samples[0],
        pb.StreamTelemetryRequest(samples=[{"timestamp": stamp(now)}]).samples[0],
        sample(now, timestamp={"seconds": 2**62, "nanos": -5}),
        sample(now),
    )
    assert [(rejected.index, rejected.reason) for rejected in answer.rejected] == [
        (1, "CONFIDENCE_OUT_OF_RANGE"),
        (2, "TIMESTAMP_TOO_OLD"),
        (3, "TIMESTAMP_AHEAD"),
        (4, "COUNT_OUT_OF_RANGE"),
        (5, "ZONE_INVALID"),
        (6, "TIMESTAMP_INVALID"),
        (7, "OCCUPANCY_MISSING"),
        (8, "TIMESTAMP_INVALID"),
    ]
    assert await seconds(site, camera_id) == [1_000, 1_000]
    assert (await ours.send(sample(now))).sequence == 2


async def test_a_token_that_ends_ends_the_stream(site: Site) -> None:
    camera_id = await site.camera()
    token = site.running.token("worker", camera_id=camera_id, epoch=0, lifetime_s=60)
    ours = TelemetryStream(channel=site.running.channel(token=token.reveal()))
    await ours.send(sample(site.clock.now()))
    await site.clock.advance(61)
    with refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"):
        await ours.send(sample(site.clock.now()))


async def test_the_gateway_takes_telemetry_beside_sightings(site: Site) -> None:
    camera_id = await site.camera()
    token, _ = await site.worker_token(camera_id)
    call = WorkerGatewayServiceStub(site.running.channel(token=token)).Connect()
    hello = gateway_pb2.WorkerHello(session_id=new_id(), camera_id=camera_id)
    await call.write(gateway_pb2.ConnectRequest(hello=hello))
    assert (await call.read()).HasField("assignment")
    now = site.clock.now()

    async def tell(**message: Any) -> gateway_pb2.ConnectResponse:
        await call.write(gateway_pb2.ConnectRequest(**message))
        answer = await call.read()
        assert isinstance(answer, gateway_pb2.ConnectResponse)
        return answer

    good, bad = sample(now), sample(now, confidence=2)
    for sequence, rejected in ((1, 1), (2, 2), (2, 3)):
        answer = await tell(telemetry={"sequence": sequence, "samples": [good, bad]})
        assert answer.telemetry_acknowledgement.sequence == sequence
        assert answer.telemetry_acknowledgement.rejected_samples == rejected
    # each kind counts by itself
    answer = await tell(sightings={"sequence": 1, "sightings": [sighting("unknown")]})
    assert answer.acknowledgement.sequence == 1
    assert await seconds(site, camera_id) == [1_000, 1_000]
    call.cancel()


async def test_buckets_sum_up_what_lies_in_them(site: Site) -> None:
    camera_id = await site.camera()
    ours = await stream(site, camera_id)
    start = site.clock.now() - timedelta(hours=1)
    at = [start + timedelta(seconds=s) for s in (0, 59.999999, 60, 240, 3_599)]
    await ours.send(
        sample(at[0], 2, entries=3, exits=1, confidence=0.5),
        sample(at[1], 5, entries=1, confidence=1.0),
        sample(at[2], 7),
        sample(at[3], 9, zone="gate"),
        sample(at[4], 1),
    )
    viewer = TelemetryServiceStub(site.running.channel("viewer"))

    async def read(**asked: Any) -> list[tuple[int, int, float, int, int, int, int]]:
        answer = await viewer.QueryTelemetry(pb.QueryTelemetryRequest(camera_id=camera_id, **asked))
        return [
            (
                b.start.seconds - int(start.timestamp()), b.samples, b.occupancy_mean,
                b.occupancy_min, b.occupancy_max, b.entries, b.exits,
            )
            for b in answer.data
        ]  # fmt: skip

    assert await read() == [
        (0, 2, 3.5, 2, 5, 4, 1),
        (60, 1, 7, 7, 7, 0, 0),
        (3_540, 1, 1, 1, 1, 0, 0),
    ]
    assert await read(zone="gate") == [(240, 1, 9, 9, 9, 0, 0)]
    assert await read(bucket_s=3_600) == [(0, 4, 3.75, 1, 7, 4, 1)]
    inner = await read(since=stamp(at[1]), until=stamp(at[4]), bucket_s=600)
    assert inner == [(0, 2, 6, 5, 7, 1, 0)]
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "RANGE_INVALID"):
        await read(since=stamp(start - timedelta(days=7)), bucket_s=1)


async def test_what_is_too_old_goes(tmp_path: Path, clock: VirtualClock) -> None:
    async with running_control_plane(tmp_path, clock=clock, telemetry_days=5) as running:
        site = Site(running=running, clock=clock)
        camera_id = await site.camera()
        ours = await stream(site, camera_id)
        days = [timedelta(days=d) for d in (6, 5.1, 4.9, 0)]
        await ours.send(*(sample(clock.now() - age) for age in days))
        await running.control_plane.parts.retention.once()
        assert await count(site, TelemetrySampleRow) == 2
        await clock.leap(8.5 * 86_400)
        await running.control_plane.parts.retention.once()
        assert await count(site, TelemetrySampleRow) == 0
        # the session is forgotten, and its batches are too old to count again
        assert await count(site, TelemetrySessionRow) == 0


async def test_a_month_later_everything_is_gone(site: Site) -> None:
    camera_id = await site.camera()
    ours = await stream(site, camera_id)
    await ours.send(*(sample(later(site, -day * 86_400)) for day in range(6)))
    retention = site.running.control_plane.parts.retention
    await site.clock.leap(29 * 86_400)
    await retention.once()
    assert 1 <= await count(site, TelemetrySampleRow) <= 3  # a day goes as a whole
    await site.clock.leap(2 * 86_400)
    await retention.once()
    assert await count(site, TelemetrySampleRow) == 0


async def test_old_samples_go_a_little_at_a_time(site: Site) -> None:
    camera_id = await site.camera()
    ours = await stream(site, camera_id)
    moments = [later(site, -(at // 2)) for at in range(100)]  # two of each moment
    await ours.send(*(sample(moment) for moment in moments))
    store = TelemetryStore(site.running.control_plane.parts.database)
    assert await store.remove_old(later(site, -9), now=site.clock.now(), chunk=7) == 80
    assert len(await seconds(site, camera_id)) == 20


@pytest.mark.parametrize("changes", [{"samples": []}, {"session_id": "x"}, {"sequence": 0}])
async def test_a_malformed_batch_ends_the_stream(site: Site, changes: dict[str, Any]) -> None:
    camera_id = await site.camera()
    ours = await stream(site, camera_id)
    values: dict[str, Any] = {"session_id": new_id(), "sequence": 1}
    values |= {"samples": [sample(site.clock.now())]} | changes
    call = TelemetryServiceStub(ours.channel).StreamTelemetry()
    await call.write(pb.StreamTelemetryRequest(**values))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID"):
        await call.read()
