"""Webhooks in the database; each method that changes something is one transaction.

A webhook that begins, or begins again, is told of events from then on: it remembers the newest
number, and where nobody followed the feed until then, the cursor of ``fan_out.py`` moves there too.
The cursor's row is what two such transactions and the fan-out wait for each other by.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Broadcast, Database, Transaction
from control_plane.events.tables import EventRow, FeedRow
from control_plane.webhooks import model, sealing
from control_plane.webhooks.model import NewWebhook, Webhook, WebhookChange
from control_plane.webhooks.removal import remove_deliveries_of
from control_plane.webhooks.sealing import WebhookSeals
from control_plane.webhooks.signature import make_secret
from control_plane.webhooks.tables import WebhookCursorRow, WebhookRow
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret


class WebhookStore:
    """Keeps webhooks. ``changed`` tells the courier of this process that there may be work."""

    def __init__(self, database: Database, seals: WebhookSeals) -> None:
        self._database = database
        self._seals = seals
        self.changed = Broadcast()

    async def create(self, new: NewWebhook) -> tuple[Webhook, Secret | None]:
        """Register a webhook and return it with its secret.

        A repeated request gets the webhook that the first one made, and no secret.

        Raises:
            AlreadyExists: The request id was used for another request.
            ResourceExhausted: There are as many webhooks as there can be.
        """

        async def register(tx: Transaction) -> tuple[Webhook, Secret | None]:
            cursor = await lock_cursor(tx.session)
            if new.request_id is not None:
                query = select(WebhookRow).where(WebhookRow.request_id == new.request_id)
                made = await tx.session.scalar(query)
                if made is not None:
                    if made.request_digest != new.request_digest:
                        raise model.other_request(new.request_id)
                    return self._webhook(made), None
            count = await tx.session.scalar(select(func.count()).select_from(WebhookRow))
            if (count or 0) >= model.MOST_WEBHOOKS:
                raise model.too_many_webhooks()
            webhook_id = new_id()
            row = WebhookRow(
                id=webhook_id,
                name=new.name,
                sealed_url=self._seals.seal(new.url, column=sealing.URL, webhook_id=webhook_id),
                event_types=list(new.event_types),
                camera_ids=list(new.camera_ids),
                enabled=new.enabled,
                disabled_reason="" if new.enabled else model.DISABLED_BY_ADMIN,
                sealed_secret=self._seals.seal(
                    new.secret, column=sealing.SECRET, webhook_id=webhook_id
                ),
                sealed_old_secret=None,
                old_secret_until=None,
                after_sequence=await _begin_now(tx.session, cursor),
                rests_until=None,
                dropped=0,
                generation=1,
                request_id=new.request_id,
                request_digest=new.request_digest if new.request_id is not None else None,
                created_at=tx.now,
                updated_at=tx.now,
            )
            tx.session.add(row)
            tx.audit_object("webhook", webhook_id)
            await tx.session.flush()
            return self._webhook(row), new.secret

        return await self._database.transact(register)

    async def get(self, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises:
            NotFound: There is none.
        """
        async with self._database.read() as session:
            return self._webhook(await require(session, webhook_id))

    async def page(self, *, after: tuple[datetime, str] | None, limit: int) -> list[Webhook]:
        """Return webhooks, the oldest first."""
        query = select(WebhookRow).order_by(WebhookRow.created_at, WebhookRow.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(WebhookRow.created_at, WebhookRow.id) > after)
        async with self._database.read() as session:
            return [self._webhook(row) for row in await session.scalars(query)]

    async def update(self, webhook_id: str, change: WebhookChange) -> Webhook:
        """Change what the change names.

        Raises:
            NotFound: There is no such webhook.
            Aborted: Somebody changed it meanwhile.
        """

        async def change_it(tx: Transaction) -> Webhook:
            cursor = await lock_cursor(tx.session)
            row = await require(tx.session, webhook_id, lock=True)
            if change.etag and change.etag != str(row.generation):
                raise model.etag_differs(webhook_id)
            if change.enabled is not None and change.enabled != row.enabled:
                if change.enabled:
                    row.after_sequence = await _begin_now(tx.session, cursor)
                    row.rests_until = None
                row.enabled = change.enabled
                row.disabled_reason = "" if change.enabled else model.DISABLED_BY_ADMIN
            if change.name is not None:
                row.name = change.name
            if change.url is not None and change.url != self._seals.url(row):
                row.sealed_url = self._seals.seal(
                    change.url, column=sealing.URL, webhook_id=webhook_id
                )
                row.rests_until = None
            if change.event_types is not None:
                row.event_types = list(change.event_types)
            if change.camera_ids is not None:
                row.camera_ids = list(change.camera_ids)
            if tx.session.is_modified(row):
                row.generation += 1
                row.updated_at = tx.now
            await tx.session.flush()
            return self._webhook(row)

        webhook = await self._database.transact(change_it)
        self.changed.notify()
        return webhook

    async def rotate_secret(
        self, webhook_id: str, *, secret: Secret | None, revoke_old: bool
    ) -> tuple[Webhook, Secret]:
        """Take a new secret; the one so far signs too for a day, unless it is revoked.

        Raises:
            NotFound: There is no such webhook.
            FailedPrecondition: The rotation before is not over.
        """
        chosen = secret or make_secret()

        async def rotate(tx: Transaction) -> Webhook:
            row = await require(tx.session, webhook_id, lock=True)
            is_open = row.old_secret_until is not None and row.old_secret_until > tx.now
            if is_open and not revoke_old:
                raise model.rotation_open(webhook_id)
            if revoke_old:
                row.sealed_old_secret, row.old_secret_until = None, None
            else:
                row.sealed_old_secret = self._seals.seal(
                    self._seals.secret(row), column=sealing.OLD_SECRET, webhook_id=webhook_id
                )
                row.old_secret_until = tx.now + model.OLD_SECRET_SIGNS
            row.sealed_secret = self._seals.seal(
                chosen, column=sealing.SECRET, webhook_id=webhook_id
            )
            row.generation += 1
            row.updated_at = tx.now
            await tx.session.flush()
            return self._webhook(row)

        return await self._database.transact(rotate), chosen

    async def delete(self, webhook_id: str) -> None:
        """Remove a webhook; nothing is sent to it from then on. Its deliveries go after it.

        Raises:
            NotFound: There is no such webhook.
        """

        async def remove(tx: Transaction) -> None:
            await tx.session.delete(await require(tx.session, webhook_id, lock=True))

        await self._database.transact(remove)
        await remove_deliveries_of(self._database, webhook_id)

    def _webhook(self, row: WebhookRow) -> Webhook:
        return Webhook(
            id=row.id,
            name=row.name,
            url=self._seals.url(row),
            event_types=tuple(row.event_types),
            camera_ids=tuple(row.camera_ids),
            enabled=row.enabled,
            disabled_reason=row.disabled_reason,
            old_secret_until=row.old_secret_until,
            dropped=row.dropped,
            rests_until=row.rests_until,
            etag=str(row.generation),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


async def require(session: AsyncSession, webhook_id: str, *, lock: bool = False) -> WebhookRow:
    """Return a webhook's row, locked where something is decided by it.

    Raises:
        NotFound: There is none.
    """
    query = select(WebhookRow).where(WebhookRow.id == webhook_id)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise model.webhook_not_found(webhook_id)
    return row


async def lock_cursor(session: AsyncSession) -> WebhookCursorRow:
    """Return the cursor; whoever else wants it waits until the transaction ends."""
    return (await session.scalars(select(WebhookCursorRow).with_for_update())).one()


async def newest_sequence(session: AsyncSession) -> int:
    """Return the number of the newest event."""
    newest = await session.scalar(select(func.max(EventRow.sequence)))
    compacted = await session.scalar(select(FeedRow.compacted_through))
    return max(newest or 0, compacted or 0)


async def any_enabled(session: AsyncSession) -> bool:
    """Tell whether any webhook wants events."""
    query = select(WebhookRow.id).where(WebhookRow.enabled).limit(1)
    return await session.scalar(query) is not None


async def enabled_rows(session: AsyncSession) -> Sequence[WebhookRow]:
    """Return the webhooks that want events."""
    return (await session.scalars(select(WebhookRow).where(WebhookRow.enabled))).all()


async def _begin_now(session: AsyncSession, cursor: WebhookCursorRow) -> int:
    """Return the number after which a webhook is told of events."""
    newest = await newest_sequence(session)
    if not await any_enabled(session):
        cursor.sequence = max(cursor.sequence, newest)
    return newest
