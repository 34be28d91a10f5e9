"""Rows of the audit as the contract's entries."""

from control_plane.audit.tables import AuditRow
from control_plane.runtime.mapping import timestamp
from dfip.control_plane.v1 import audit_pb2


def entry_message(row: AuditRow) -> audit_pb2.AuditEntry:
    """Return the entry of a row."""
    return audit_pb2.AuditEntry(
        id=str(row.sequence),
        at=timestamp(row.at),
        actor=row.actor,
        role=row.role,
        token_id=row.token_id,
        action=row.action,
        object=_object(row.object_kind, row.object_id),
        within=_object(row.within_kind, row.within_id),
        fields=row.fields,
        outcome=row.outcome,
        reason=row.reason,
        count=row.count,
        request_id=row.request_id,
        client_address=row.client_address,
    )


def _object(kind: str, id_: str) -> audit_pb2.AuditObject | None:
    return audit_pb2.AuditObject(kind=kind, id=id_) if id_ else None
