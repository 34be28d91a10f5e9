"""Runtime rows as the contract's messages, and the contract's reports as observations."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.runtime.model import (
    FAILURES,
    Observation,
    check_failure_reason,
    current_health,
    worked_on,
)
from control_plane.runtime.tables import CameraRuntimeRow
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    runtime_pb2,
    worker_gateway_service_pb2,
)
from service_runtime.errors import InvalidArgument

_AT_WORK = ("starting", "running")


def timestamp(moment: datetime) -> Timestamp:
    """Return a moment as a message."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def runtime_message(row: CameraRuntimeRow, *, now: datetime) -> runtime_pb2.CameraRuntime:
    """Return what readers see of a camera's runtime at ``now``."""
    message = runtime_pb2.CameraRuntime(
        camera_id=row.camera_id,
        pod_name=row.pod_name,
        worker_status=row.worker_status,
        health_status=current_health(
            worker_status=row.worker_status,
            health_status=row.health_status,
            last_sign_at=row.last_sign_at,
            now=now,
        ),
        error_count=row.error_count,
        failure_reason=row.failure_reason,
        failure_message=FAILURES.get(row.failure_reason, ""),
        observed_generation=row.observed_generation,
        epoch=row.epoch,
    )
    if row.worker_status in _AT_WORK:
        worked = worked_on(row.health_info)
        message.accelerator_asked = worked["accelerator_asked"]
        message.accelerator_used = worked["accelerator_used"]
        message.decoder = worked["decoder"]
    if row.last_heartbeat is not None:
        message.last_heartbeat.CopyFrom(timestamp(row.last_heartbeat))
    if row.next_retry_at is not None:
        message.next_retry_at.CopyFrom(timestamp(row.next_retry_at))
    if row.last_contact is not None:
        message.last_contact.CopyFrom(timestamp(row.last_contact))
    return message


def observation(
    report: control_plane_service_pb2.RuntimeReport | worker_gateway_service_pb2.WorkerHeartbeat,
) -> Observation:
    """Return what a manager or a worker reports.

    Raises:
        InvalidArgument: The failure reason is not in the closed list, or the time is none.
    """
    retry_at = _moment(report.next_retry_at) if report.HasField("next_retry_at") else None
    return Observation(
        worker_status=report.worker_status,
        health_status=report.health_status,
        failure_reason=check_failure_reason(report.failure_reason),
        error_count=report.error_count,
        next_retry_at=retry_at,
        observed_generation=report.observed_generation,
    )


def _moment(message: Timestamp) -> datetime:
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("TIME_INVALID", "`next_retry_at` is no valid time.") from None
