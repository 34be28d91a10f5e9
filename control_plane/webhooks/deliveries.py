"""Deliveries in the database, for administrators.

How they come to be is in ``fan_out.py``, how they are sent in ``courier.py``, how they go in
``removal.py``.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Broadcast, Database, Transaction
from control_plane.webhooks import model, store
from control_plane.webhooks.model import Delivery
from control_plane.webhooks.tables import WebhookDeliveryRow, WebhookRow
from service_runtime.identifiers import new_id


class DeliveryStore:
    """Keeps deliveries."""

    def __init__(self, database: Database, changed: Broadcast) -> None:
        self._database = database
        self._changed = changed

    async def page(
        self, webhook_id: str, *, state: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[Delivery]:
        """Return deliveries of a webhook, the newest first.

        Raises:
            NotFound: There is no such webhook.
        """
        query = select(WebhookDeliveryRow).where(WebhookDeliveryRow.webhook_id == webhook_id)
        if state:
            query = query.where(WebhookDeliveryRow.state == state)
        place = tuple_(WebhookDeliveryRow.created_at, WebhookDeliveryRow.id)
        if after is not None:
            query = query.where(place < after)
        newest_first = (WebhookDeliveryRow.created_at.desc(), WebhookDeliveryRow.id.desc())
        async with self._database.read() as session:
            await store.require(session, webhook_id)
            rows = await session.scalars(query.order_by(*newest_first).limit(limit))
            return [_delivery(row) for row in rows]

    async def get(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Return a delivery.

        Raises:
            NotFound: The webhook or the delivery is not there.
        """
        async with self._database.read() as session:
            await store.require(session, webhook_id)
            return _delivery(await _require(session, webhook_id, delivery_id))

    async def replay(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Queue a delivery anew that is over.

        Raises:
            NotFound: The webhook or the delivery is not there.
            FailedPrecondition: The webhook is disabled, or the delivery is still on its way.
        """

        async def queue(tx: Transaction) -> Delivery:
            await _require_enabled(tx.session, webhook_id)
            row = await _require(tx.session, webhook_id, delivery_id, lock=True)
            if row.state == model.PENDING:
                raise model.still_pending(delivery_id)
            row.state = model.PENDING
            row.failures = 0
            row.failure_reason = ""
            row.due_at = tx.now
            row.finished_at = None
            await tx.session.flush()
            return _delivery(row)

        return await self._queued(queue)

    async def send_test(self, webhook_id: str) -> Delivery:
        """Queue a test.

        Raises:
            NotFound: There is no such webhook.
            FailedPrecondition: It is disabled.
        """

        async def queue(tx: Transaction) -> Delivery:
            await _require_enabled(tx.session, webhook_id)
            row = queued(webhook_id, event_sequence=None, event_type=model.TEST_TYPE, now=tx.now)
            tx.session.add(row)
            await tx.session.flush()
            await trim(tx, webhook_id)
            return _delivery(row)

        return await self._queued(queue)

    async def _queued(self, queue: Callable[[Transaction], Awaitable[Delivery]]) -> Delivery:
        delivery = await self._database.transact(queue)
        self._changed.notify()
        return delivery


def queued(
    webhook_id: str, *, event_sequence: int | None, event_type: str, now: datetime
) -> WebhookDeliveryRow:
    """Return the row of a delivery that is due at once."""
    return WebhookDeliveryRow(
        id=new_id(),
        webhook_id=webhook_id,
        event_sequence=event_sequence,
        event_type=event_type,
        state=model.PENDING,
        attempts=0,
        failures=0,
        last_status=None,
        failure_reason="",
        due_at=now,
        created_at=now,
        finished_at=None,
    )


async def trim(tx: Transaction, webhook_id: str, most: int = model.MOST_PENDING) -> int:
    """Give up the oldest deliveries of a webhook where too many wait; return how many."""
    waiting = (
        WebhookDeliveryRow.webhook_id == webhook_id,
        WebhookDeliveryRow.state == model.PENDING,
    )
    count: int | None = await tx.session.scalar(
        select(func.count()).select_from(WebhookDeliveryRow).where(*waiting)
    )
    excess = (count or 0) - most
    if excess <= 0:
        return 0
    oldest = (
        select(WebhookDeliveryRow.id)
        .where(*waiting)
        .order_by(WebhookDeliveryRow.created_at, WebhookDeliveryRow.event_sequence)
        .limit(excess)
    )
    await tx.session.execute(
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.id.in_(oldest))
        .values(model.given_up("queue_full", tx.now))
        .execution_options(synchronize_session=False)
    )
    await tx.session.execute(
        update(WebhookRow)
        .where(WebhookRow.id == webhook_id)
        .values(dropped=WebhookRow.dropped + excess)
        .execution_options(synchronize_session=False)
    )
    return excess


async def _require(
    session: AsyncSession, webhook_id: str, delivery_id: str, *, lock: bool = False
) -> WebhookDeliveryRow:
    query = select(WebhookDeliveryRow).where(
        WebhookDeliveryRow.id == delivery_id, WebhookDeliveryRow.webhook_id == webhook_id
    )
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise model.delivery_not_found(delivery_id)
    return row


async def _require_enabled(session: AsyncSession, webhook_id: str) -> None:
    row = await store.require(session, webhook_id, lock=True)
    if not row.enabled:
        raise model.webhook_disabled(webhook_id)


def _delivery(row: WebhookDeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        webhook_id=row.webhook_id,
        event_sequence=row.event_sequence,
        event_type=row.event_type,
        state=row.state,
        attempts=row.attempts,
        last_status=row.last_status,
        failure_reason=row.failure_reason,
        due_at=row.due_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
