"""How each change of a webhook or a delivery is made."""

from typing import Any

from sqlalchemy import update

from control_plane.webhooks.tables import WebhookDeliveryRow
from dfip.control_plane.v1 import (
    webhook_service_pb2,
)
from tests.support.audited_changes.walk import NOTHING, About, Change, Changes, Walk


async def webhook(walk: Walk) -> str:
    request = webhook_service_pb2.CreateWebhookRequest(
        name="desk", url="https://receiver.localhost/hook", enabled=True
    )
    return str((await walk.webhooks.CreateWebhook(request)).data.id)


async def create_webhook(walk: Walk) -> tuple[About, About]:
    return ("webhook", await webhook(walk)), NOTHING


def of_webhook(method: str, **fields: Any) -> Change:
    async def change(walk: Walk) -> tuple[About, About]:
        webhook_id = await webhook(walk)
        message = getattr(webhook_service_pb2, f"{method}Request")
        await getattr(walk.webhooks, method)(message(webhook_id=webhook_id, **fields))
        return ("webhook", webhook_id), NOTHING

    return change


async def delivery_of_test(walk: Walk) -> tuple[str, str]:
    webhook_id = await webhook(walk)
    sent = await walk.webhooks.SendTest(webhook_service_pb2.SendTestRequest(webhook_id=webhook_id))
    return webhook_id, str(sent.data.id)


async def send_test(walk: Walk) -> tuple[About, About]:
    webhook_id, _ = await delivery_of_test(walk)
    return ("webhook", webhook_id), NOTHING


async def replay_delivery(walk: Walk) -> tuple[About, About]:
    webhook_id, delivery_id = await delivery_of_test(walk)
    async with walk.site.control_plane.parts.database.write() as tx:
        await tx.session.execute(update(WebhookDeliveryRow).values(state="dead"))
    await walk.webhooks.ReplayDelivery(
        webhook_service_pb2.ReplayDeliveryRequest(webhook_id=webhook_id, delivery_id=delivery_id)
    )
    return ("delivery", delivery_id), ("webhook", webhook_id)


CHANGES: Changes = {
    "WebhookService/CreateWebhook": ("webhook.create", create_webhook),
    "WebhookService/UpdateWebhook": ("webhook.update", of_webhook("UpdateWebhook", name="gate")),
    "WebhookService/DeleteWebhook": ("webhook.delete", of_webhook("DeleteWebhook")),
    "WebhookService/RotateSecret": ("secret.rotate", of_webhook("RotateSecret")),
    "WebhookService/SendTest": ("test.send", send_test),
    "WebhookService/ReplayDelivery": ("delivery.replay", replay_delivery),
}
