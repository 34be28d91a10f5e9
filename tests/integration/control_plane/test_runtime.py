"""What is observed: heartbeats, the manager's reports, epochs and silence."""

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from tests.integration.control_plane.conftest import Site
from tests.support.refusals import refused

PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def heartbeat(camera_id: str, status: str = "running") -> pb.ReportHeartbeatRequest:
    request = pb.ReportHeartbeatRequest(camera_id=camera_id, status=status)
    request.health_info.update({"fps": 1.0, "memory_usage": "256MB", "cpu_usage": "15%"})
    return request


def report(camera_id: str, epoch: int, status: str, **fields: Any) -> pb.RuntimeReport:
    values = {"health_status": "unknown", "failure_reason": "none"} | fields
    return pb.RuntimeReport(camera_id=camera_id, epoch=epoch, worker_status=status, **values)


async def send(site: Site, *reports: pb.RuntimeReport) -> list[str]:
    request = pb.ReportRuntimesRequest(reports=reports)
    return list((await site.cameras("manager").ReportRuntimes(request)).refused_camera_ids)


async def test_a_camera_that_never_ran_is_stopped_and_unknown(site: Site) -> None:
    camera_id = await site.camera(desired_state="stopped")
    runtime = await site.runtime(camera_id)
    assert (runtime.worker_status, runtime.health_status) == ("stopped", "unknown")
    assert (runtime.pod_name, runtime.failure_reason, runtime.error_count) == ("", "none", 0)
    assert not runtime.HasField("last_heartbeat")


async def test_a_heartbeat_is_seen_by_all(site: Site) -> None:
    camera_id = await site.camera()
    _, epoch = await site.worker_token(camera_id)
    await site.clock.advance(5)
    worker = site.cameras("worker", camera_id=camera_id, epoch=epoch)
    answer = await worker.ReportHeartbeat(heartbeat(camera_id))
    assert (answer.success, answer.message) == (True, "Heartbeat received")
    runtime = await site.runtime(camera_id)
    assert (runtime.worker_status, runtime.health_status) == ("running", "healthy")
    heard = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert runtime.last_heartbeat.ToDatetime(UTC) == heard
    camera = (await site.cameras().GetCamera(pb.GetCameraRequest(camera_id=camera_id))).data
    assert camera.last_contact.ToDatetime(UTC) == heard
    listed = [c.status async for c in site.cameras().ListCameras(pb.ListCamerasRequest())]
    assert listed == ["healthy"]


async def test_health_is_unknown_after_thirty_silent_seconds(site: Site) -> None:
    camera_id = await site.camera()
    worker = site.cameras("worker", camera_id=camera_id, epoch=0)
    await worker.ReportHeartbeat(heartbeat(camera_id))
    await site.clock.advance(30)
    assert (await site.runtime(camera_id)).health_status == "healthy"
    await site.clock.advance(1)
    assert (await site.runtime(camera_id)).health_status == "unknown"
    listed = site.cameras().ListCameras(pb.ListCamerasRequest(status="unknown"))
    assert [camera.id async for camera in listed] == [camera_id]


async def test_a_worker_speaks_for_its_own_camera_in_its_own_epoch(site: Site) -> None:
    mine, other = await site.camera("mine"), await site.camera("other")
    _, epoch = await site.worker_token(mine)
    worker = site.cameras("worker", camera_id=mine, epoch=epoch)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "CAMERA_NOT_YOURS"):
        await worker.ReportHeartbeat(heartbeat(other))
    await worker.ReportHeartbeat(heartbeat(mine))
    await site.worker_token(mine)
    with refused(PRECONDITION, "STALE_EPOCH"):
        await worker.ReportHeartbeat(heartbeat(mine, "failed"))
    assert (await site.runtime(mine)).worker_status == "pending"


async def test_a_large_health_info_is_refused(site: Site) -> None:
    camera_id = await site.camera()
    request = heartbeat(camera_id)
    request.health_info.update({"x": "y" * 5000})
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "JSON_INVALID"):
        await site.cameras("worker", camera_id=camera_id, epoch=0).ReportHeartbeat(request)


async def test_reports_of_another_epoch_are_refused_and_the_others_taken(site: Site) -> None:
    first, second = await site.camera("first"), await site.camera("second")
    gone = await site.camera("gone")
    for camera_id in (first, first, second):
        await site.worker_token(camera_id)
    await site.cameras().DeleteCamera(pb.DeleteCameraRequest(camera_id=gone))
    refused_ids = await send(
        site,
        report(first, 1, "failed", failure_reason="crashed"),
        report(second, 1, "starting", pod_name="camera-worker-2"),
        report(gone, 0, "stopped"),
    )
    assert refused_ids == [first, gone]
    assert (await site.runtime(first)).worker_status == "pending"
    runtime = await site.runtime(second)
    assert (runtime.worker_status, runtime.pod_name) == ("starting", "camera-worker-2")


async def test_the_worker_knows_better_than_the_manager_while_it_is_heard(site: Site) -> None:
    camera_id = await site.camera()
    _, epoch = await site.worker_token(camera_id)
    worker = site.cameras("worker", camera_id=camera_id, epoch=epoch)
    await worker.ReportHeartbeat(heartbeat(camera_id))
    # the manager's word was on its way when the worker was faster
    assert await send(site, report(camera_id, epoch, "starting", pod_name="w")) == []
    runtime = await site.runtime(camera_id)
    assert (runtime.worker_status, runtime.pod_name) == ("running", "w")
    # but it is the manager who sees that a process is gone
    crashed = report(
        camera_id, epoch, "backoff", health_status="unhealthy", failure_reason="killed",
        error_count=3,
    )  # fmt: skip
    await send(site, crashed)
    runtime = await site.runtime(camera_id)
    assert (runtime.worker_status, runtime.failure_reason) == ("backoff", "killed")
    assert runtime.failure_message == "The worker was killed; it is started again."
    assert runtime.error_count == 3


async def test_an_unknown_failure_reason_is_refused(site: Site) -> None:
    camera_id = await site.camera()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FAILURE_REASON_UNKNOWN"):
        await send(site, report(camera_id, 0, "failed", failure_reason="bad_luck"))


async def test_a_token_opens_a_new_epoch_for_a_camera_that_is_wanted(site: Site) -> None:
    camera_id = await site.camera()
    assert [(await site.worker_token(camera_id))[1] for _ in range(3)] == [1, 2, 3]
    stopped = pb.SetCameraStatusRequest(camera_id=camera_id, status="disabled")
    await site.cameras().SetCameraStatus(stopped)
    with refused(PRECONDITION, "CAMERA_STOPPED"):
        await site.worker_token(camera_id)
    assert (await site.runtime(camera_id)).epoch == 3


@pytest.mark.parametrize("wanted", ["running", "stopped"])
async def test_retry_is_for_cameras_that_are_wanted(site: Site, wanted: str) -> None:
    camera_id = await site.camera(desired_state=wanted)
    request = pb.RetryCameraRequest(camera_id=camera_id)
    if wanted == "running":
        assert (await site.cameras("operator").RetryCamera(request)).success
    else:
        with refused(PRECONDITION, "CAMERA_STOPPED"):
            await site.cameras("operator").RetryCamera(request)
