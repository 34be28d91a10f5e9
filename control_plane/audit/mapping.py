"""Between rows of the audit and the contract's messages."""

from datetime import UTC, datetime

from control_plane.audit.tables import AuditRow
from control_plane.runtime.mapping import timestamp
from dfip.control_plane.v1 import audit_pb2, audit_service_pb2
from service_runtime.audit import AuditedCall, AuditObject
from service_runtime.authentication import Caller, role_from_name


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


def look_of(request: audit_service_pb2.RecordLookRequest) -> AuditedCall:
    """Return a look as the service says that let somebody have it."""
    return AuditedCall(
        action=request.action,
        caller=Caller(
            subject=request.actor,
            role=role_from_name(request.role),
            camera_id=None,
            epoch=None,
            token_id=request.token_id,
            expires_at=datetime.max.replace(tzinfo=UTC),  # checked where the call came in
        ),
        request_id=request.request_id,
        client_address=request.client_address,
        objects=tuple(AuditObject(kind=one.kind, id=one.id) for one in request.objects),
        fields=tuple(request.fields),
    )


def _object(kind: str, id_: str) -> audit_pb2.AuditObject | None:
    return audit_pb2.AuditObject(kind=kind, id=id_) if id_ else None
