"""Turns events into deliveries: exactly one for each webhook that wants the event.

The cursor moves in the transaction that adds the rows, and its row is locked for it, so neither a
crash nor a second replica makes a delivery twice or none. Events that nobody wants cost no write:
this process remembers how far it has looked, and moves the cursor only now and then. Sending comes
after, in ``courier.py``.
"""

import asyncio
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Broadcast, Database, Transaction
from control_plane.events.tables import EventRow, FeedRow
from control_plane.pacing import FOLLOW_EVERY_S
from control_plane.webhooks import model, store
from control_plane.webhooks.deliveries import queued, trim
from control_plane.webhooks.model import Wish
from control_plane.webhooks.tables import WebhookCursorRow
from service_runtime.clock import Clock, wait_at_most
from service_runtime.structured_logging import get_logger

BATCH: Final = 500
# how far the cursor may lag behind events that nobody wants
_LAZY: Final = 2_000
# counting what waits costs; between counts so many may come on top of the bound
_COUNT_EVERY: Final = 1_000
# should the hint of another replica's commit be lost
_LOOK_S: Final = 15.0
_log = get_logger(__name__)


class FanOut:
    """Follows the feed; ``run`` is its root task."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        changed: Broadcast,
        *,
        most_pending: int = model.MOST_PENDING,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed
        self._most_pending = most_pending
        # events up to here were looked at and wanted by nobody, or have become deliveries
        self._seen = 0
        # rows added for a webhook since its deliveries were counted
        self._uncounted: dict[str, int] = {}

    async def run(self) -> None:
        """Follow the feed, for ever."""
        while True:
            committed = self._database.committed.next()
            if await self.step():
                continue
            await asyncio.sleep(FOLLOW_EVERY_S)
            await wait_at_most(self._clock, committed, _LOOK_S)

    async def step(self) -> bool:
        """Look at the next events; tell whether there may be more."""
        async with self._database.read() as session:
            cursor = (await session.scalars(select(WebhookCursorRow.sequence))).one()
            wishes = await _wishes(session)
            if not wishes:
                return False
            after = max(cursor, self._seen)
            events = await _events(session, after)
        if not events:
            return False
        last = events[-1].sequence
        if _wanted(events, wishes) or last - cursor > _LAZY:
            if await self._database.transact(self._add):
                self._changed.notify()
        else:
            self._seen = last
        return len(events) == BATCH

    async def _add(self, tx: Transaction) -> int:
        """Turn the next events into deliveries; return how many these are."""
        query = select(WebhookCursorRow).with_for_update(skip_locked=True)
        cursor = (await tx.session.scalars(query)).one_or_none()
        if cursor is None:
            return 0  # another replica is at it, and looks again after it
        compacted = (await tx.session.scalars(select(FeedRow.compacted_through))).one()
        after = max(cursor.sequence, self._seen)
        if after < compacted:
            _log.error("webhooks.events_missed", after=after, compacted_through=compacted)
        wishes = await _wishes(tx.session)
        events = await _events(tx.session, after)
        if not events:
            return 0
        wanted = _wanted(events, wishes)
        tx.session.add_all(
            queued(
                wish.webhook_id, event_sequence=event.sequence, event_type=event.type, now=tx.now
            )
            for event, wish in wanted
        )
        cursor.sequence = events[-1].sequence
        await tx.session.flush()
        for webhook_id in sorted({wish.webhook_id for _, wish in wanted}):
            added = sum(wish.webhook_id == webhook_id for _, wish in wanted)
            await self._bound(tx, webhook_id, added)
        return len(wanted)

    async def _bound(self, tx: Transaction, webhook_id: str, added: int) -> None:
        uncounted = self._uncounted.get(webhook_id, _COUNT_EVERY) + added
        if uncounted >= min(_COUNT_EVERY, self._most_pending):
            dropped = await trim(tx, webhook_id, self._most_pending)
            if dropped:
                _log.warning("webhooks.queue_full", webhook_id=webhook_id, dropped=dropped)
            uncounted = 0
        self._uncounted[webhook_id] = uncounted


async def _wishes(session: AsyncSession) -> list[Wish]:
    return [
        Wish(
            webhook_id=row.id,
            event_types=frozenset(row.event_types),
            camera_ids=frozenset(row.camera_ids),
            after_sequence=row.after_sequence,
        )
        for row in await store.enabled_rows(session)
    ]


async def _events(session: AsyncSession, after: int) -> list[EventRow]:
    query = (
        select(EventRow).where(EventRow.sequence > after).order_by(EventRow.sequence).limit(BATCH)
    )
    return list(await session.scalars(query))


def _wanted(events: list[EventRow], wishes: list[Wish]) -> list[tuple[EventRow, Wish]]:
    return [
        (event, wish)
        for event in events
        for wish in wishes
        if wish.wants(event.type, event.camera_id, event.sequence)
    ]
