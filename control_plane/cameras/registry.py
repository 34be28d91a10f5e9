"""The registry: creates, changes and removes cameras, each with its events in one transaction.

The servicer hands over checked values; what is stored and which events it is worth is decided here.
The connection string is sealed before it reaches the database; ``connection_string`` is the one way
back, for the gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts.removal import remove_camera_alerts
from control_plane.cameras.mapping import etag_of
from control_plane.cameras.model import sort_key
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.encryption import Vault
from control_plane.events.payloads import camera_payload
from control_plane.events.types import EPOCH_ISSUED, RETRY_REQUESTED
from control_plane.leases.store import hold_term
from control_plane.runtime.model import Observation
from control_plane.runtime.store import apply_observation, camera_not_found
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.sightings.removal import remove_camera_sightings
from control_plane.telemetry.store import remove_camera_sessions
from control_plane.tokens.issuer import IssuedToken, TokenIssuer
from dfip.options.v1 import policy_pb2
from service_runtime.errors import Aborted, AlreadyExists, FailedPrecondition
from service_runtime.identifiers import new_id

WORKER_TOKEN_S = 24 * 3600.0

CameraAndRuntime = tuple[CameraRow, CameraRuntimeRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection string that was checked. Never print it."""

    text: str
    scheme: str

    def __repr__(self) -> str:
        return f"Connection({self.scheme}://...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCamera:
    """A camera to register."""

    name: str
    connection: Connection
    desired_state: str
    location: str
    description: str
    metadata: dict[str, Any]
    zone_config: dict[str, Any]
    model_settings: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraChange:
    """What to change of a camera; None leaves it alone."""

    name: str | None = None
    connection: Connection | None = None
    desired_state: str | None = None
    location: str | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    zone_config: dict[str, Any] | None = None
    model_settings: dict[str, Any] | None = None
    etag: str = ""


class CameraRegistry:
    """Creates, changes and removes cameras."""

    def __init__(self, database: Database, vault: Vault, issuer: TokenIssuer) -> None:
        self._database = database
        self._vault = vault
        self._issuer = issuer

    async def create(
        self, camera: NewCamera, *, request_id: str = "", request_digest: bytes = b""
    ) -> CameraAndRuntime:
        """Register a camera, or find the one that the same request registered before.

        Raises:
            AlreadyExists: ``REQUEST_ID_REUSED``: the request id belongs to another request.
        """

        async def register(tx: Transaction) -> CameraAndRuntime:
            if request_id:
                earlier = await tx.session.scalar(
                    select(CameraRow).where(CameraRow.request_id == request_id)
                )
                if earlier is not None:
                    self._check_repeat(earlier, request_digest)
                    tx.audit_object("camera", earlier.id)
                    return earlier, await tx.session.get_one(CameraRuntimeRow, earlier.id)
            camera_id = new_id()
            tx.audit_object("camera", camera_id)
            row = CameraRow(
                id=camera_id,
                name=camera.name,
                name_key=sort_key(camera.name),
                connection_sealed=self._seal_connection(camera_id, camera.connection),
                connection_scheme=camera.connection.scheme,
                desired_state=camera.desired_state,
                location=camera.location,
                description=camera.description,
                extra=camera.metadata,
                zone_config=camera.zone_config,
                model_settings=camera.model_settings,
                version=1,
                generation=1,
                request_id=request_id or None,
                request_sealed=self._seal_digest(camera_id, request_digest) if request_id else None,
                created_at=tx.now,
                updated_at=tx.now,
            )
            tx.session.add(row)
            await tx.session.flush()
            runtime = CameraRuntimeRow(camera_id=camera_id)
            tx.session.add(runtime)
            await _append(tx, "camera.created", row)
            return row, runtime

        return await self._database.transact(register)

    async def update(self, camera_id: str, change: CameraChange) -> CameraAndRuntime:
        """Change what ``change`` names; a change that changes nothing leaves no trace.

        Raises:
            NotFound: ``CAMERA_NOT_FOUND``.
            Aborted: ``ETAG_MISMATCH``: somebody changed the camera meanwhile.
        """

        async def change_it(tx: Transaction) -> CameraAndRuntime:
            row, runtime = await _load_locked(tx, camera_id)
            if change.etag and change.etag != etag_of(row):
                raise Aborted(
                    "ETAG_MISMATCH",
                    "Somebody changed the camera meanwhile; read it again, then repeat the change.",
                    camera_id=camera_id,
                )
            followed = self._changes_for_worker(row, change)
            described = _changed(
                row,
                {
                    "name": change.name,
                    "location": change.location,
                    "description": change.description,
                    "extra": change.metadata,
                },
            )
            switched = _changed(row, {"desired_state": change.desired_state})
            if not (followed or described or switched):
                return row, runtime
            for key, value in {**followed, **described, **switched}.items():
                setattr(row, key, value)
            row.name_key = sort_key(row.name)
            row.version += 1
            row.generation += bool(followed)
            row.updated_at = tx.now
            if followed or described:
                await _append(tx, "camera.updated", row)
            if switched:
                enabled = row.desired_state == "running"
                await _append(tx, "camera.enabled" if enabled else "camera.disabled", row)
            return row, runtime

        return await self._database.transact(change_it)

    async def delete(self, camera_id: str) -> None:
        """Remove a camera, its runtime, sightings and alerts and, by and by, its telemetry.

        Raises:
            NotFound: ``CAMERA_NOT_FOUND``.
        """

        async def remove(tx: Transaction) -> None:
            row, _ = await _load_locked(tx, camera_id)
            await remove_camera_sightings(tx, camera_id)
            await remove_camera_sessions(tx, camera_id)
            await remove_camera_alerts(tx, camera_id)
            await _append(tx, "camera.deleted", row)
            await tx.session.delete(row)

        await self._database.transact(remove)

    async def retry(self, camera_id: str) -> None:
        """Ask the camera's worker and the manager to try again at once.

        Raises:
            NotFound: ``CAMERA_NOT_FOUND``.
            FailedPrecondition: ``CAMERA_STOPPED``.
        """

        async def ask(tx: Transaction) -> None:
            row, runtime = await _load_locked(tx, camera_id)
            _require_running(row)
            runtime.retry_counter += 1
            await tx.append_event(RETRY_REQUESTED, camera_id=camera_id, payload={})

        await self._database.transact(ask)

    async def issue_worker_token(
        self, camera_id: str, *, lease_term: int
    ) -> tuple[IssuedToken, int]:
        """Open a new epoch and return the one token that may report in it, and the epoch.

        Raises:
            NotFound: ``CAMERA_NOT_FOUND``.
            FailedPrecondition: ``CAMERA_STOPPED``, or ``LEASE_LOST``: another manager acts.
        """

        async def issue(tx: Transaction) -> tuple[IssuedToken, int]:
            await hold_term(tx, lease_term)
            row, runtime = await _load_locked(tx, camera_id)
            _require_running(row)
            runtime.epoch += 1
            token = self._issuer.issue(
                policy_pb2.ROLE_WORKER,
                subject=f"camera-worker-{camera_id}",
                lifetime_s=WORKER_TOKEN_S,
                camera_id=camera_id,
                epoch=runtime.epoch,
            )
            runtime.token_id = token.token_id
            tx.audit_object("token", token.token_id)
            pending = Observation(
                worker_status="pending",
                health_status="unknown",
                failure_reason=runtime.failure_reason,
                error_count=runtime.error_count,
            )
            await apply_observation(tx, runtime, pending, heard=False)
            await tx.append_event(EPOCH_ISSUED, camera_id=camera_id, payload={})
            return token, runtime.epoch

        return await self._database.transact(issue)

    def connection_string(self, row: CameraRow) -> str:
        """Return the camera's address with its credentials, for its worker and nobody else."""
        sealed = row.connection_sealed
        return self._vault.open(
            sealed, table="cameras", column="connection_sealed", row_id=row.id
        ).decode()

    def _changes_for_worker(self, row: CameraRow, change: CameraChange) -> Mapping[str, Any]:
        changes = _changed(
            row, {"zone_config": change.zone_config, "model_settings": change.model_settings}
        )
        connection = change.connection
        if connection is not None and connection.text != self.connection_string(row):
            changes["connection_sealed"] = self._seal_connection(row.id, connection)
            changes["connection_scheme"] = connection.scheme
        return changes

    def _seal_connection(self, camera_id: str, connection: Connection) -> bytes:
        return self._vault.seal(
            connection.text.encode(), table="cameras", column="connection_sealed", row_id=camera_id
        )

    def _seal_digest(self, camera_id: str, digest: bytes) -> bytes:
        return self._vault.seal(digest, table="cameras", column="request_sealed", row_id=camera_id)

    def _check_repeat(self, earlier: CameraRow, request_digest: bytes) -> None:
        digest = self._vault.open(
            earlier.request_sealed or b"",
            table="cameras",
            column="request_sealed",
            row_id=earlier.id,
        )
        if digest != request_digest:
            raise AlreadyExists(
                "REQUEST_ID_REUSED",
                "This `request_id` belongs to another request; use a new one.",
                camera_id=earlier.id,
            )


async def load(session: AsyncSession, camera_id: str) -> CameraAndRuntime:
    """Return a camera and its runtime.

    Raises:
        NotFound: ``CAMERA_NOT_FOUND``.
    """
    row = await session.get(CameraRow, camera_id)
    if row is None:
        raise camera_not_found(camera_id)
    return row, await session.get_one(CameraRuntimeRow, camera_id)


async def _load_locked(tx: Transaction, camera_id: str) -> CameraAndRuntime:
    """Return a camera and its runtime, which nobody else changes before the commit."""
    row = await tx.session.get(CameraRow, camera_id, with_for_update=True)
    if row is None:
        raise camera_not_found(camera_id)
    return row, await tx.session.get_one(CameraRuntimeRow, camera_id, with_for_update=True)


def _changed(row: CameraRow, wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in wanted.items()
        if value is not None and value != getattr(row, key)
    }


def _require_running(row: CameraRow) -> None:
    if row.desired_state != "running":
        raise FailedPrecondition(
            "CAMERA_STOPPED", "The camera is stopped; enable it first.", camera_id=row.id
        )


async def _append(tx: Transaction, type_: str, row: CameraRow) -> None:
    await tx.append_event(type_, camera_id=row.id, payload={"camera": camera_payload(row)})
