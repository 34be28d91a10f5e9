"""Between what the control plane knows and what administrators are told."""

from datetime import datetime
from typing import Literal, TypeAlias, get_args

from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.backups.shelf import Backup
from control_plane.keys.keeper import KeyStatus
from control_plane.retention_policy.store import RetentionPolicy
from dfip.control_plane.v1 import admin_service_pb2 as pb

_DayField: TypeAlias = Literal[
    "event_days", "sighting_days", "telemetry_days", "alert_days", "webhook_days", "audit_days"
]
_DAYS: tuple[_DayField, ...] = get_args(_DayField)


def key_status_to_proto(status: KeyStatus) -> pb.KeyStatus:
    """Return the contract's status; no key material is in either."""
    return pb.KeyStatus(
        master_key_id=status.master_id,
        data_keys=[
            pb.DataKey(id=key.id, state=key.state, made_at=_timestamp(key.made_at), values=count)
            for key, count in status.data_keys
        ],
        signing_keys=[
            pb.SigningKey(
                id=row.id,
                state=row.state,
                made_at=_timestamp(row.made_at),
                ends_at=_timestamp(row.ends_at) if row.ends_at is not None else None,
            )
            for row in status.signing_keys
        ],
        sealed_values=status.values,
        older_values=status.older_values,
    )


def policy_to_proto(policy: RetentionPolicy) -> pb.RetentionPolicy:
    """Return the contract's retention policy."""
    return pb.RetentionPolicy(
        event_days=policy.days.event_days,
        sighting_days=policy.days.sighting_days,
        telemetry_days=policy.days.telemetry_days,
        alert_days=policy.days.alert_days,
        webhook_days=policy.days.webhook_days,
        audit_days=policy.days.audit_days,
        etag=policy.etag,
        changed_at=None if policy.changed_at is None else _timestamp(policy.changed_at),
    )


def days_of(request: pb.SetRetentionPolicyRequest) -> dict[str, float]:
    """Return what a request sets, by the names of ``Days``."""
    return {name: getattr(request, name) for name in _DAYS if request.HasField(name)}


def backup_to_proto(backup: Backup) -> pb.Backup:
    """Return the contract's backup."""
    return pb.Backup(
        id=backup.id,
        state=backup.state,
        made_at=_timestamp(backup.made_at),
        size_bytes=backup.size,
        files=backup.files,
        with_keys=backup.with_keys,
        path=str(backup.path),
        reason=backup.reason,
    )


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
