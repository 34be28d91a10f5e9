"""Writing down what is observed of a camera, with its events, in the caller's transaction.

The epoch is checked here, inside the transaction that writes: at most one worker's reports count
for a camera. Workers speak through the gateway or a heartbeat call, the manager through its
reports; where both speak of the same living worker, the worker knows better.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.cameras.tables import CameraRow
from control_plane.database import Transaction
from control_plane.events.payloads import camera_payload, runtime_payload
from control_plane.runtime.model import FAILURES, SILENCE, Observation, events_of_change
from control_plane.runtime.tables import CameraRuntimeRow
from service_runtime.errors import NotFound, Superseded
from service_runtime.redaction import redact_json


def camera_not_found(camera_id: str) -> NotFound:
    """Return the error for a camera that does not exist."""
    return NotFound(
        "CAMERA_NOT_FOUND",
        "No camera has this id; list the cameras with GET /cameras.",
        camera_id=camera_id,
    )


def stale_epoch(camera_id: str) -> Superseded:
    """Return the error for a worker whose camera another worker has by now."""
    return Superseded(
        "STALE_EPOCH",
        "Another worker has this camera by now; end, and let the manager start a new one.",
        camera_id=camera_id,
    )


async def require_epoch(
    session: AsyncSession, camera_id: str, epoch: int | None
) -> CameraRuntimeRow:
    """Return the camera's runtime, when ``epoch`` is the one in force.

    Raises:
        NotFound: ``CAMERA_NOT_FOUND``.
        FailedPrecondition: ``STALE_EPOCH``: another worker has the camera by now.
    """
    runtime = await session.get(CameraRuntimeRow, camera_id)
    if runtime is None:
        raise camera_not_found(camera_id)
    if runtime.epoch != epoch:
        raise stale_epoch(camera_id)
    return runtime


async def hold_epoch(session: AsyncSession, camera_id: str, epoch: int | None) -> CameraRuntimeRow:
    """``require_epoch`` for a transaction that writes: the epoch stays in force until its commit.

    Raises:
        NotFound: ``CAMERA_NOT_FOUND``.
        FailedPrecondition: ``STALE_EPOCH``.
    """
    await session.get(CameraRuntimeRow, camera_id, with_for_update=True)
    return await require_epoch(session, camera_id, epoch)


async def current_epoch(session: AsyncSession, camera_id: str) -> int:
    """Return the epoch in force; 0 where no worker was ever started.

    Raises:
        NotFound: ``CAMERA_NOT_FOUND``.
    """
    epoch = await session.scalar(
        select(CameraRuntimeRow.epoch).where(CameraRuntimeRow.camera_id == camera_id)
    )
    if epoch is None:
        raise camera_not_found(camera_id)
    return epoch


async def record_heartbeat(
    tx: Transaction,
    camera_id: str,
    epoch: int | None,
    observed: Observation,
    *,
    health_info: Mapping[str, Any],
    pod_name: str | None = None,
) -> None:
    """Write what a worker says of itself.

    Raises:
        NotFound: ``CAMERA_NOT_FOUND``.
        FailedPrecondition: ``STALE_EPOCH``.
    """
    runtime = await hold_epoch(tx.session, camera_id, epoch)
    runtime.last_heartbeat = runtime.last_contact = runtime.last_sign_at = tx.now
    runtime.heard_epoch = runtime.epoch
    # an error that a worker passes on may hold its address, and everybody may read this
    runtime.health_info = redact_json(health_info)
    runtime.pod_name = pod_name or runtime.pod_name
    await apply_observation(tx, runtime, observed, heard=True)


async def record_report(
    tx: Transaction, camera_id: str, epoch: int, observed: Observation, *, pod_name: str
) -> bool:
    """Write what the manager sees of a worker; False where the epoch is not in force."""
    runtime = await tx.session.get(CameraRuntimeRow, camera_id, with_for_update=True)
    if runtime is None or runtime.epoch != epoch:
        return False
    runtime.pod_name = pod_name or runtime.pod_name
    if observed.worker_status in {"pending", "starting", "running"} and _is_heard(runtime, tx.now):
        return True
    if observed.state != observation_of(runtime).state:
        runtime.last_sign_at = tx.now
    await apply_observation(tx, runtime, observed, heard=False)
    return True


async def apply_observation(
    tx: Transaction, runtime: CameraRuntimeRow, observed: Observation, *, heard: bool
) -> None:
    """Put an observation into the row, and its events into the feed."""
    types = events_of_change(
        observation_of(runtime),
        observed,
        heard=heard,
        announced_at=runtime.announced_at,
        now=tx.now,
    )
    runtime.worker_status = observed.worker_status
    runtime.health_status = observed.health_status
    runtime.failure_reason = observed.failure_reason
    runtime.error_count = observed.error_count
    runtime.next_retry_at = observed.next_retry_at
    runtime.observed_generation = observed.observed_generation
    if "worker.heartbeat" in types:
        runtime.announced_at = tx.now
    if types:
        camera = await tx.session.get_one(CameraRow, runtime.camera_id)
        payload = {
            "camera": camera_payload(camera),
            "runtime": runtime_payload(runtime, now=tx.now),
        }
        reason = observed.failure_reason
        error = {"reason": reason, "message": FAILURES[reason] or "The worker has failed."}
        for type_ in types:
            extra = {"error": error} if type_ == "worker.error" else {}
            await tx.append_event(type_, camera_id=camera.id, payload=payload | extra)


def observation_of(runtime: CameraRuntimeRow) -> Observation:
    """Return what the row says."""
    return Observation(
        worker_status=runtime.worker_status,
        health_status=runtime.health_status,
        failure_reason=runtime.failure_reason,
        error_count=runtime.error_count,
        next_retry_at=runtime.next_retry_at,
        observed_generation=runtime.observed_generation,
    )


def _is_heard(runtime: CameraRuntimeRow, now: datetime) -> bool:
    """Tell whether the worker of this epoch was heard lately."""
    return (
        runtime.heard_epoch == runtime.epoch
        and runtime.last_heartbeat is not None
        and now - runtime.last_heartbeat <= SILENCE
    )
