"""Turns the contract's messages into the manager's values and back."""

from datetime import UTC, datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from camera_manager.cameras import CameraView, RuntimeRow
from camera_manager.plan import WorkerReport
from camera_manager.runtimes.port import ObservedWorker
from dfip.camera_manager.v1 import manager_service_pb2
from dfip.control_plane.v1 import control_plane_service_pb2, runtime_pb2


def camera_from(
    state: control_plane_service_pb2.CameraState, *, heard_at: float | None
) -> CameraView:
    """Return one camera; ``heard_at`` is when its newest heartbeat was seen to come in."""
    return CameraView(
        camera_id=state.camera_id,
        wanted=state.desired_state == "running",
        generation=state.generation,
        epoch=state.epoch,
        retry_counter=state.retry_counter,
        row=_row_from(state.runtime),
        heard_at=heard_at,
    )


def _row_from(runtime: runtime_pb2.CameraRuntime) -> RuntimeRow:
    return RuntimeRow(
        epoch=runtime.epoch,
        worker_status=runtime.worker_status,
        failure_reason=runtime.failure_reason or "none",
        error_count=runtime.error_count,
        next_retry_at=_time_from(runtime, "next_retry_at"),
        last_heartbeat=_time_from(runtime, "last_heartbeat"),
    )


def _time_from(
    runtime: runtime_pb2.CameraRuntime, field: Literal["last_heartbeat", "next_retry_at"]
) -> datetime | None:
    if not runtime.HasField(field):
        return None
    stamp: Timestamp = getattr(runtime, field)
    return stamp.ToDatetime(UTC)


def report_to(report: WorkerReport, *, pod_name: str) -> control_plane_service_pb2.RuntimeReport:
    """Return the contract's report."""
    return control_plane_service_pb2.RuntimeReport(
        camera_id=report.camera_id,
        epoch=report.epoch,
        worker_status=report.worker_status,
        health_status=report.health_status,
        failure_reason=report.failure_reason,
        error_count=report.error_count,
        next_retry_at=report.next_retry_at,
        pod_name=pod_name,
        observed_generation=report.observed_generation,
    )


def worker_to(worker: ObservedWorker, *, namespace: str, image: str) -> manager_service_pb2.Worker:
    """Return the contract's worker."""
    created_at = Timestamp()
    created_at.FromDatetime(worker.started_at)
    return manager_service_pb2.Worker(
        camera_id=worker.camera_id,
        podName=worker.pod_name,
        namespace=namespace,
        image=image,
        createdAt=created_at,
    )
