"""States that last: health and occupancy, by events, by the timer, and over restarts."""

import asyncio
from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.alerts.occupancy import OccupancyWatch
from control_plane.alerts.tables import OccupancyLevelRow
from dfip.control_plane.v1 import alert_service_pb2 as pb
from dfip.control_plane.v1 import control_plane_service_pb2 as cameras_pb
from dfip.control_plane.v1 import (
    control_plane_service_pb2_grpc,
    telemetry_service_pb2,
    telemetry_service_pb2_grpc,
)
from tests.support.alerts import AlertSite, until
from tests.support.sightings import Reports
from tests.support.virtual_clock import VirtualClock


async def camera(site: AlertSite) -> str:
    return (await Reports.open(site.site)).camera_id


async def heartbeat(site: AlertSite, camera_id: str, status: str) -> None:
    worker = site.site.channel("worker", camera_id=camera_id, epoch=1)
    stub = control_plane_service_pb2_grpc.ControlPlaneServiceStub(worker)
    await stub.ReportHeartbeat(
        cameras_pb.ReportHeartbeatRequest(camera_id=camera_id, status=status)
    )


async def count(
    site: AlertSite,
    clock: VirtualClock,
    camera_id: str,
    people: int,
    *,
    ago_s: float = 0,
    **more: Any,
) -> None:
    stub = telemetry_service_pb2_grpc.TelemetryServiceStub(
        site.site.channel("worker", camera_id=camera_id, epoch=1)
    )
    when = Timestamp()
    when.FromDatetime(clock.now() - timedelta(seconds=ago_s))
    await stub.ReportTelemetry(
        telemetry_service_pb2.ReportTelemetryRequest(
            camera_id=camera_id, timestamp=when, occupancy=people, **more
        )
    )


async def test_a_worker_that_fails_is_told_with_its_reason(site: AlertSite) -> None:
    await site.rule("worker_error")
    camera_id = await camera(site)
    manager = control_plane_service_pb2_grpc.ControlPlaneServiceStub(site.site.channel("manager"))
    failed = cameras_pb.RuntimeReport(
        camera_id=camera_id, epoch=1, worker_status="failed", health_status="unhealthy",
        failure_reason="refused", error_count=1,
    )  # fmt: skip
    await manager.ReportRuntimes(cameras_pb.ReportRuntimesRequest(reports=[failed]))
    (alert,) = await site.listed()
    assert (alert.kind, alert.details.reason) == ("worker_error", "refused")
    assert alert.message.startswith("The worker of door failed. The camera refuses")


async def test_an_unhealthy_camera_is_told_once_after_its_time(
    site: AlertSite, clock: VirtualClock
) -> None:
    await site.rule("camera_unhealthy", health=["unhealthy"], for_s=60, cooldown_s=0)
    camera_id = await camera(site)
    await heartbeat(site, camera_id, "backoff")
    await clock.advance(59)
    assert await site.looked() == []
    await clock.advance(1)
    (alert,) = await site.looked()
    assert alert.message == "door is unhealthy for 60 seconds or more."
    assert alert.details.health == "unhealthy"
    lasted = alert.details.occurred_at.seconds - alert.details.since.seconds
    assert lasted == 60
    await clock.advance(300)
    assert len(await site.looked()) == 1
    await heartbeat(site, camera_id, "running")
    await heartbeat(site, camera_id, "backoff")
    await clock.advance(60)
    assert len(await site.looked()) == 2


async def test_a_state_that_began_and_ended_before_anybody_looked_is_told(
    site: AlertSite, clock: VirtualClock
) -> None:
    await site.rule("camera_unhealthy", health=["unhealthy"], for_s=4)
    camera_id = await camera(site)
    await heartbeat(site, camera_id, "backoff")
    await clock.advance(4)  # the timer comes every five seconds
    await heartbeat(site, camera_id, "running")
    (alert,) = await site.listed()
    assert alert.details.occurred_at.seconds - alert.details.since.seconds == 4


async def test_a_silent_worker_and_a_stopped_camera_are_not_the_same(
    site: AlertSite, clock: VirtualClock
) -> None:
    await site.rule("camera_unhealthy", for_s=10)
    silent, stopped = await camera(site), await camera(site)
    for camera_id in (silent, stopped):
        await heartbeat(site, camera_id, "running")
    cameras = control_plane_service_pb2_grpc.ControlPlaneServiceStub(site.site.channel("operator"))
    await cameras.SetCameraStatus(
        cameras_pb.SetCameraStatusRequest(camera_id=stopped, status="disabled")
    )
    await clock.advance(31)
    await site.looked()
    await clock.advance(10)
    (alert,) = await site.looked()
    assert (alert.camera_id, alert.details.health) == (silent, "unknown")
    assert alert.message == "door is silent for 10 seconds or more."


async def test_a_crossing_is_told_once_until_it_is_over(
    site: AlertSite, clock: VirtualClock
) -> None:
    await site.rule("occupancy_over", over=5, cooldown_s=0)
    door, gate = await camera(site), await camera(site)
    for people in (5, 6, 7, 6):
        await count(site, clock, door, people)
        await clock.advance(1)
    await count(site, clock, gate, 3)
    await count(site, clock, door, 9, zone="hall")
    (alert,) = await site.looked()
    assert (alert.camera_id, alert.details.occupancy) == (door, 6)
    assert alert.message == "More than 5 people are at door."
    for people in (2, 8):
        await count(site, clock, door, people)
        await clock.advance(1)
    assert [found.details.occupancy for found in await site.listed()] == [6, 8]


async def test_only_changes_of_a_watched_count_are_kept(
    site: AlertSite, clock: VirtualClock
) -> None:
    camera_id = await camera(site)
    await count(site, clock, camera_id, 9)
    await site.rule("occupancy_over", over=5, camera_ids=[camera_id], zone="hall")
    await count(site, clock, camera_id, 9)
    await count(site, clock, camera_id, 2, zone="hall")
    async with site.database.read() as session:
        assert await session.get(OccupancyLevelRow, (camera_id, "hall")) is None
    await count(site, clock, camera_id, 6, zone="hall")
    async with site.database.read() as session:
        assert await session.get(OccupancyLevelRow, (camera_id, "hall")) is not None
    (alert,) = await site.listed()
    assert (alert.zone, alert.message) == ("hall", "More than 5 people are at door in hall.")


async def test_a_crowd_that_stays_is_told_when_samples_show_it(
    site: AlertSite, clock: VirtualClock
) -> None:
    await site.rule("occupancy_over", over=5, for_s=60, cooldown_s=0)
    camera_id = await camera(site)
    await count(site, clock, camera_id, 6)
    await clock.advance(100)
    # time alone shows nothing: the reporter may be away
    assert await site.looked() == []
    await count(site, clock, camera_id, 7)
    (alert,) = await site.looked()
    assert alert.details.occupancy == 7
    await count(site, clock, camera_id, 0)
    await clock.advance(1)
    await count(site, clock, camera_id, 6)
    await clock.advance(59)
    await count(site, clock, camera_id, 6)
    assert len(await site.looked()) == 1


async def test_a_count_that_comes_late_is_told_all_the_same(
    site: AlertSite, clock: VirtualClock
) -> None:
    await site.rule("occupancy_over", over=5, cooldown_s=0)
    camera_id = await camera(site)
    await clock.advance(100)
    await count(site, clock, camera_id, 6, ago_s=50)
    await count(site, clock, camera_id, 0, ago_s=40)
    await count(site, clock, camera_id, 8, ago_s=45)
    await site.judged()
    # of one moment: which is listed first is chance
    assert sorted(found.details.occupancy for found in await site.listed()) == [6, 8]


async def test_another_process_that_takes_telemetry_hears_of_a_rule(site: AlertSite) -> None:
    other = OccupancyWatch(site.database, site.site.control_plane.parts.feed)
    after = await other.start()
    assert not other.is_watching
    rule = await site.rule("occupancy_over", over=5)
    following = other.run(after)
    task = asyncio.create_task(following)
    await until(lambda: other.is_watching)
    await site.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(rule_id=rule.id))
    await until(lambda: not other.is_watching)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
