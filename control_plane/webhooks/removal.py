"""What goes of webhooks with time: deliveries that are over, and secrets that sign no more."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, delete, select, update

from control_plane.database import Database
from control_plane.webhooks import model
from control_plane.webhooks.tables import WebhookDeliveryRow, WebhookRow

MOST_OVER: Final = 100_000
_CHUNK: Final = 1_000


async def remove_old_deliveries(
    database: Database, now: datetime, *, keep: timedelta, most: int = MOST_OVER
) -> int:
    """Give up what has waited, and remove what has been over, since before ``now - keep``.

    Of what is over, ``most`` are kept for each webhook. Works in short transactions; returns how
    many went.
    """
    cutoff = now - keep
    async with database.write() as tx:
        await tx.session.execute(
            update(WebhookDeliveryRow)
            .where(
                WebhookDeliveryRow.state == model.PENDING,
                # only a webhook that is disabled leaves them lying
                WebhookDeliveryRow.due_at < cutoff,
            )
            .values(model.given_up("expired", now))
            .execution_options(synchronize_session=False)
        )
    orphans = WebhookDeliveryRow.webhook_id.not_in(select(WebhookRow.id))
    removed = await _remove(database, select(WebhookDeliveryRow.id).where(orphans))
    async with database.read() as session:
        webhook_ids = (await session.scalars(select(WebhookRow.id))).all()
    for webhook_id in webhook_ids:
        over = select(WebhookDeliveryRow.id).where(
            WebhookDeliveryRow.webhook_id == webhook_id,
            WebhookDeliveryRow.state != model.PENDING,
        )
        removed += await _remove(database, over.where(WebhookDeliveryRow.finished_at < cutoff))
        newest = (WebhookDeliveryRow.created_at.desc(), WebhookDeliveryRow.id.desc())
        removed += await _remove(database, over.order_by(*newest).offset(most))
    return removed


async def forget_old_secrets(database: Database, now: datetime) -> None:
    """Remove secrets that sign no more."""
    async with database.write() as tx:
        outdated = select(WebhookRow).where(WebhookRow.old_secret_until <= now)
        for row in await tx.session.scalars(outdated.with_for_update()):
            row.sealed_old_secret, row.old_secret_until = None, None


async def remove_deliveries_of(database: Database, webhook_id: str) -> None:
    """Remove all deliveries of a webhook that is gone."""
    query = select(WebhookDeliveryRow.id).where(WebhookDeliveryRow.webhook_id == webhook_id)
    await _remove(database, query)


async def _remove(database: Database, chosen: Select[str]) -> int:
    removed = 0
    while True:
        async with database.write() as tx:
            gone = await tx.session.scalars(
                delete(WebhookDeliveryRow)
                .where(WebhookDeliveryRow.id.in_(chosen.limit(_CHUNK)))
                .returning(WebhookDeliveryRow.id)
            )
            count = len(gone.all())
        removed += count
        if count < _CHUNK:
            return removed
