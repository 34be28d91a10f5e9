"""The audit: one row for each change, each look at a face, and each kind of refused call a minute.

Rows are added and, when they are old, removed; nothing changes one. They hold ids and names of
fields, and no text that somebody typed but the subject of a token. So erasing a person leaves the
fact with an id that leads nowhere.

There is no chain of hashes over the rows: each row would need the one before it, and writers on
PostgreSQL, which commit side by side, would have to queue for that. Whoever must prove that nobody
with access to the database touched the rows has them copied elsewhere, page by page.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, BigSerial
from service_runtime.audit import AuditedCall, AuditObject, Refusal
from service_runtime.authentication import role_name

DONE: Final = "done"
REFUSED: Final = "refused"
_LONGEST: Final = 200


class AuditRow(Base):
    """Something that was done, or was not allowed."""

    __tablename__ = "audit"
    __table_args__ = (
        Index(None, "at"),
        Index(None, "actor", "sequence"),
        Index(None, "object_id", "sequence"),
        Index(None, "within_id", "sequence"),
        Index(None, "outcome", "sequence"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(BigSerial, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    # the subject of the token, its role and its id; empty where the token named nobody
    actor: Mapped[str] = mapped_column(String(_LONGEST))
    role: Mapped[str] = mapped_column(String(32))
    token_id: Mapped[str] = mapped_column(String(_LONGEST))
    # ``camera.update``
    action: Mapped[str] = mapped_column(String(100))
    # what it was done to, and what that belongs to: a face, within a person
    object_kind: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[str] = mapped_column(String(64))
    within_kind: Mapped[str] = mapped_column(String(64))
    within_id: Mapped[str] = mapped_column(String(64))
    # names of the fields that the request filled
    fields: Mapped[list[str]]
    # done, or refused with the reason
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(64))
    # equal refusals within a minute
    count: Mapped[int] = mapped_column(Integer)
    request_id: Mapped[str] = mapped_column(String(64))
    # as the edge tells it; empty for a call that did not come through it
    client_address: Mapped[str] = mapped_column(String(64))


def audit_row(call: AuditedCall, *, at: datetime, made: AuditObject | None = None) -> AuditRow:
    """Return the row of a call that was let in; ``made`` is what the domain says it is about."""
    objects = [one for one in (*call.objects, made) if one is not None]
    about = objects[-1] if objects else None
    around = [one for one in objects[:-1] if about is not None and one.kind != about.kind]
    within = around[-1] if around else None
    return AuditRow(
        at=at,
        actor=call.caller.subject[:_LONGEST],
        role=role_name(call.caller.role),
        token_id=call.caller.token_id[:_LONGEST],
        action=call.action,
        object_kind=about.kind if about is not None else "",
        object_id=about.id if about is not None else "",
        within_kind=within.kind if within is not None else "",
        within_id=within.id if within is not None else "",
        fields=list(call.fields),
        outcome=DONE,
        reason="",
        count=1,
        request_id=call.request_id,
        client_address=call.client_address,
    )


def refusal_row(refusal: Refusal, *, at: datetime, count: int, request_id: str) -> AuditRow:
    """Return the row of calls that were refused alike."""
    return AuditRow(
        at=at,
        actor=refusal.subject[:_LONGEST],
        role=refusal.role,
        token_id=refusal.token_id[:_LONGEST],
        action=refusal.action,
        object_kind="",
        object_id="",
        within_kind="",
        within_id="",
        fields=[],
        outcome=REFUSED,
        reason=refusal.reason[:64],
        count=count,
        request_id=request_id,
        client_address=refusal.client_address,
    )
