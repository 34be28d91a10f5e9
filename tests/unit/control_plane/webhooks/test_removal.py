"""What goes with time: deliveries that are over, those nobody can send, and old secrets."""

from datetime import timedelta

from sqlalchemy import select, update

from control_plane.database import Database
from control_plane.webhooks.model import OLD_SECRET_SIGNS, WebhookChange
from control_plane.webhooks.removal import forget_old_secrets, remove_old_deliveries
from control_plane.webhooks.tables import WebhookDeliveryRow, WebhookRow
from tests.unit.control_plane.webhooks.conftest import World

URL = "https://receiver.example/"
WEEK = timedelta(days=7)


async def test_what_is_over_goes_after_a_week_and_what_waits_stays(
    world: World, database: Database
) -> None:
    webhook, _ = await world.webhook(URL)
    await world.happen(*["camera.updated"] * 3)
    await world.spread()
    first, second, third = await world.of(webhook)
    now = world.clock.now()
    async with database.write() as tx:
        over = {"state": "delivered", "due_at": None, "finished_at": now}
        mine = WebhookDeliveryRow.id == first.id
        await tx.session.execute(update(WebhookDeliveryRow).where(mine).values(over))
        later = {"state": "dead", "due_at": None, "finished_at": now + timedelta(days=1)}
        mine = WebhookDeliveryRow.id == second.id
        await tx.session.execute(update(WebhookDeliveryRow).where(mine).values(later))
        mine = WebhookDeliveryRow.id == third.id
        soon = {"due_at": now + WEEK}
        await tx.session.execute(update(WebhookDeliveryRow).where(mine).values(soon))
    at = now + WEEK + timedelta(hours=1)
    assert await remove_old_deliveries(database, at, keep=WEEK) == 1
    assert [d.id for d in await world.of(webhook)] == [second.id, third.id]
    assert [d.state for d in await world.of(webhook)] == ["dead", "pending"]


async def test_what_waits_for_a_disabled_webhook_is_given_up(
    world: World, database: Database
) -> None:
    webhook, _ = await world.webhook(URL)
    await world.happen("camera.updated")
    await world.spread()
    await world.store.update(webhook.id, WebhookChange(enabled=False))
    at = world.clock.now() + WEEK + timedelta(hours=1)
    assert await remove_old_deliveries(database, at, keep=WEEK) == 0
    (given_up,) = await world.of(webhook)
    assert (given_up.state, given_up.failure_reason) == ("dead", "expired")
    assert given_up.finished_at == at


async def test_of_what_is_over_the_newest_stay(world: World, database: Database) -> None:
    webhook, _ = await world.webhook(URL)
    for _ in range(5):
        await world.happen("camera.updated")
        await world.spread()
        await world.clock.advance(1)
    everything = await world.of(webhook)
    async with database.write() as tx:
        over = {"state": "dead", "due_at": None, "finished_at": world.clock.now()}
        await tx.session.execute(update(WebhookDeliveryRow).values(over))
    assert await remove_old_deliveries(database, world.clock.now(), keep=WEEK, most=2) == 3
    left = [delivery.id for delivery in await world.of(webhook)]
    assert left == [delivery.id for delivery in everything[-2:]]


async def test_what_a_removed_webhook_left_behind_goes(world: World, database: Database) -> None:
    webhook, _ = await world.webhook(URL)
    await world.happen("camera.updated")
    await world.spread()
    async with database.write() as tx:
        row = await tx.session.get(WebhookRow, webhook.id)
        await tx.session.delete(row)
    assert await remove_old_deliveries(database, world.clock.now(), keep=WEEK) == 1
    assert await world.rows() == []


async def test_a_secret_that_signs_no_more_is_removed(world: World, database: Database) -> None:
    webhook, _ = await world.webhook(URL)
    await world.store.rotate_secret(webhook.id, secret=None, revoke_old=False)

    async def kept() -> bytes | None:
        async with database.read() as session:
            return await session.scalar(select(WebhookRow.sealed_old_secret))

    await forget_old_secrets(database, world.clock.now() + OLD_SECRET_SIGNS - timedelta(seconds=1))
    assert await kept() is not None
    await forget_old_secrets(database, world.clock.now() + OLD_SECRET_SIGNS)
    assert await kept() is None
    assert (await world.store.get(webhook.id)).old_secret_until is None
