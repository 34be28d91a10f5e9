"""Ids of requests that made something: how long a repeat finds what the first one made.

The id stands in the row that was made, with a digest of the request, so that there are never more
of them than there are rows, and a repeat that races the first one fails on the column's uniqueness
and finds it. Whoever repeats does so within minutes. After a week the id is free again: a client
that takes its ids from a counter must not be held to what it did long ago.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update

from control_plane.alerts.tables import AlertRuleRow, WatchListRow
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.people.tables import PersonRow
from control_plane.webhooks.tables import WebhookRow

# each table, and the column of its digest
_MADE_BY_REQUESTS: Final[tuple[tuple[Any, str], ...]] = (
    (CameraRow, "request_sealed"),
    (PersonRow, "request_digest"),
    (AlertRuleRow, "request_digest"),
    (WatchListRow, "request_digest"),
    (WebhookRow, "request_digest"),
)
_CHUNK: Final = 500


async def forget_request_ids(database: Database, before: datetime) -> None:
    """Forget the requests that made something before a time; what they made stays."""
    for table, digest in _MADE_BY_REQUESTS:
        while await _forget_some(database, table, digest, before) == _CHUNK:
            pass


async def _forget_some(database: Database, table: Any, digest: str, before: datetime) -> int:  # noqa: ANN401 - any of the tables
    old = select(table.id).where(table.request_id.is_not(None), table.created_at < before)
    async with database.read() as session:
        ids = (await session.scalars(old.order_by(table.id).limit(_CHUNK))).all()
    if not ids:
        return 0

    async def forget(tx: Transaction) -> None:
        await tx.session.execute(
            update(table).where(table.id.in_(ids)).values({"request_id": None, digest: None})
        )

    await database.transact(forget)
    return len(ids)
