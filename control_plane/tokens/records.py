"""Tokens in the database: which were made, which were revoked, and the list that says so.

``publication.py`` puts the list where every service finds it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, delete, func, select, tuple_

from control_plane.database import Database, Transaction
from control_plane.events.types import TOKENS_REVOKED
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.tokens.tables import IssuedTokenRow, RevokedSubjectRow, RevokedTokenRow
from service_runtime.errors import ResourceExhausted
from service_runtime.revocations import RevocationList

LONGEST_LIFETIME: Final = timedelta(days=366)
MOST: Final = 50_000
_REMEMBERED: Final = timedelta(days=30)

PageKey = tuple[datetime, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFilter:
    """Which tokens to list; what is empty filters nothing."""

    subject: str = ""
    role: str = ""
    in_force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A token that was made, and the end of it, where it was revoked."""

    issued: IssuedTokenRow
    revoked_at: datetime | None
    revoked_by: str


class TokenRecords:
    """Keeps which tokens there are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: TokenFilter, *, after: PageKey | None, limit: int, now: datetime
    ) -> list[TokenRecord]:
        """Return tokens, the newest first, after a time and id."""
        query = _with_revocations()
        if wanted.subject:
            query = query.where(IssuedTokenRow.subject == wanted.subject)
        if wanted.role:
            query = query.where(IssuedTokenRow.role == wanted.role)
        if wanted.in_force:
            query = query.where(
                IssuedTokenRow.expires_at > now,
                RevokedTokenRow.id.is_(None),
                RevokedSubjectRow.subject.is_(None),
            )
        if after is not None:
            query = query.where(tuple_(IssuedTokenRow.issued_at, IssuedTokenRow.id) < after)
        newest_first = (IssuedTokenRow.issued_at.desc(), IssuedTokenRow.id.desc())
        async with self._database.read() as session:
            rows = await session.execute(query.order_by(*newest_first).limit(limit))
            return [_record(*row) for row in rows]

    async def revocations(self) -> RevocationList:
        """Return what holds no more."""
        async with self._database.read() as session:
            tokens = (await session.scalars(select(RevokedTokenRow))).all()
            subjects = await session.execute(
                select(RevokedSubjectRow.subject, RevokedSubjectRow.issued_before)
            )
            epochs = await session.execute(
                select(CameraRuntimeRow.camera_id, CameraRuntimeRow.epoch).where(
                    CameraRuntimeRow.epoch > 0
                )
            )
            return RevocationList(
                tokens=frozenset(row.id for row in tokens if row.revoked_by),
                ended=frozenset(row.id for row in tokens if not row.revoked_by),
                subjects={row.subject: int(row.issued_before.timestamp()) for row in subjects},
                epochs={row.camera_id: row.epoch for row in epochs},
            )

    async def remove_old(self) -> None:
        """Forget tokens that expired long ago, and revocations that nothing needs any more."""
        async with self._database.write() as tx:
            for which in (
                delete(IssuedTokenRow).where(IssuedTokenRow.expires_at < tx.now - _REMEMBERED),
                delete(RevokedTokenRow).where(RevokedTokenRow.expires_at < tx.now),
                delete(RevokedSubjectRow).where(
                    RevokedSubjectRow.revoked_at < tx.now - LONGEST_LIFETIME
                ),
            ):
                await tx.session.execute(which.execution_options(synchronize_session=False))


async def record_token(tx: Transaction, row: IssuedTokenRow) -> None:
    """Write down that a token was made.

    Raises:
        ResourceExhausted: ``TOO_MANY_TOKENS``.
    """
    if (await tx.session.scalar(select(func.count()).select_from(IssuedTokenRow)) or 0) >= MOST:
        raise ResourceExhausted(
            "TOO_MANY_TOKENS",
            f"{MOST} tokens are remembered, which is the most; wait until some have expired.",
        )
    tx.session.add(row)
    tx.audit_object("token", row.id)


async def revoke_token(tx: Transaction, token_id: str, *, by: str) -> None:
    """Have a token hold no more; nothing happens where it does not already.

    Args:
        tx: The transaction of whatever ends it.
        token_id: Its ``jti``, whoever made it.
        by: Who ends it.

    Raises:
        ResourceExhausted: ``TOO_MANY_REVOCATIONS``.
    """
    if await tx.session.get(RevokedTokenRow, token_id) is not None:
        return
    if (await tx.session.scalar(select(func.count()).select_from(RevokedTokenRow)) or 0) >= MOST:
        raise ResourceExhausted(
            "TOO_MANY_REVOCATIONS",
            f"{MOST} tokens are revoked, which is the most; rotate the signing key instead.",
        )
    issued = await tx.session.get(IssuedTokenRow, token_id)
    tx.session.add(
        RevokedTokenRow(
            id=token_id,
            revoked_by=by[:200],
            revoked_at=tx.now,
            expires_at=tx.now + LONGEST_LIFETIME if issued is None else issued.expires_at,
        )
    )
    await tx.append_event(TOKENS_REVOKED, payload={})


async def revoke_subject(tx: Transaction, subject: str, *, by: str) -> None:
    """Have every token of a subject that was issued before now hold no more.

    Tokens tell the second in which they were issued. Those of this very second are revoked one by
    one, so that a token that is made right after this one call holds.
    """
    this_second = tx.now.replace(microsecond=0)
    row = await tx.session.get(RevokedSubjectRow, subject, with_for_update=True)
    if row is None:
        row = RevokedSubjectRow(subject=subject)
        tx.session.add(row)
    row.issued_before = this_second
    row.revoked_at = tx.now
    row.revoked_by = by[:200]
    query = select(IssuedTokenRow.id).where(
        IssuedTokenRow.subject == subject, IssuedTokenRow.issued_at >= this_second
    )
    for token_id in (await tx.session.scalars(query)).all():
        await revoke_token(tx, token_id, by=by)
    await tx.append_event(TOKENS_REVOKED, payload={})


async def end_worker_token(tx: Transaction, token_id: str | None, *, lifetime_s: float) -> None:
    """Have the token of a camera's worker hold no more, because the camera goes."""
    if token_id is not None:
        tx.session.add(
            RevokedTokenRow(
                id=token_id,
                revoked_by="",  # nobody did: it follows
                revoked_at=tx.now,
                expires_at=tx.now + timedelta(seconds=lifetime_s),
            )
        )


def _with_revocations() -> Select[IssuedTokenRow, RevokedTokenRow, RevokedSubjectRow]:
    before = RevokedSubjectRow.issued_before
    return (
        select(IssuedTokenRow, RevokedTokenRow, RevokedSubjectRow)
        .outerjoin(RevokedTokenRow, RevokedTokenRow.id == IssuedTokenRow.id)
        .outerjoin(
            RevokedSubjectRow,
            (RevokedSubjectRow.subject == IssuedTokenRow.subject)
            & (IssuedTokenRow.issued_at < before),
        )
    )


def _record(
    issued: IssuedTokenRow, token: RevokedTokenRow | None, subject: RevokedSubjectRow | None
) -> TokenRecord:
    end = token or subject
    return TokenRecord(
        issued=issued,
        revoked_at=end.revoked_at if end is not None else None,
        revoked_by=end.revoked_by if end is not None else "",
    )
