"""``WebhookService``: takes requests apart, lets the webhooks topic do the work, answers."""

from datetime import UTC, datetime

import grpc

from control_plane.webhooks import mapping
from control_plane.webhooks.deliveries import DeliveryStore
from control_plane.webhooks.mapping import delivery_message, webhook_message
from control_plane.webhooks.signature import parse_secret
from control_plane.webhooks.store import WebhookStore
from control_plane.webhooks.url import ReceiverPolicy
from dfip.control_plane.v1 import webhook_service_pb2 as pb
from dfip.control_plane.v1 import webhook_service_pb2_grpc
from service_runtime.errors import InvalidArgument
from service_runtime.pagination import decode_page_token, encode_page_token

_PAGE = 100


class WebhookServicer(webhook_service_pb2_grpc.WebhookServiceServicer):
    """Answers for ``dfip.control_plane.v1.WebhookService``."""

    def __init__(
        self, *, store: WebhookStore, deliveries: DeliveryStore, policy: ReceiverPolicy
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._policy = policy

    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, _context: grpc.aio.ServicerContext
    ) -> pb.CreateWebhookResponse:
        """Register a webhook, and tell its secret once."""
        webhook, secret = await self._store.create(mapping.new_webhook(request, self._policy))
        message = "Webhook registered" if secret else "Webhook registered before; no secret again"
        return pb.CreateWebhookResponse(
            success=True, message=message, data=webhook_message(webhook, secret)
        )

    async def GetWebhook(
        self, request: pb.GetWebhookRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetWebhookResponse:
        """Read one webhook."""
        webhook = await self._store.get(mapping.webhook_id(request.webhook_id))
        return pb.GetWebhookResponse(
            success=True, message="Webhook found", data=webhook_message(webhook)
        )

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListWebhooksResponse:
        """List webhooks, oldest first."""
        filter_values: dict[str, str | int | None] = {"list": "webhooks"}
        size = request.page_size or _PAGE
        after = _after(request.page_token, filter_values)
        page = await self._store.page(after=after, limit=size + 1)
        shown = page[:size]
        token = ""
        if len(page) > size:
            token = _token(filter_values, shown[-1].created_at, shown[-1].id)
        return pb.ListWebhooksResponse(
            success=True,
            message=f"{len(shown)} {'webhook' if len(shown) == 1 else 'webhooks'}",
            data=[webhook_message(webhook) for webhook in shown],
            next_page_token=token,
        )

    async def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, _context: grpc.aio.ServicerContext
    ) -> pb.UpdateWebhookResponse:
        """Change what the request names."""
        webhook = await self._store.update(
            mapping.webhook_id(request.webhook_id), mapping.change_of(request, self._policy)
        )
        return pb.UpdateWebhookResponse(
            success=True, message="Webhook updated", data=webhook_message(webhook)
        )

    async def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, _context: grpc.aio.ServicerContext
    ) -> pb.DeleteWebhookResponse:
        """Remove a webhook and its deliveries."""
        await self._store.delete(mapping.webhook_id(request.webhook_id))
        return pb.DeleteWebhookResponse(success=True, message="Webhook removed")

    async def RotateSecret(
        self, request: pb.RotateSecretRequest, _context: grpc.aio.ServicerContext
    ) -> pb.RotateSecretResponse:
        """Take a new secret, told once."""
        webhook, secret = await self._store.rotate_secret(
            mapping.webhook_id(request.webhook_id),
            secret=parse_secret(request.secret) if request.secret else None,
            revoke_old=request.revoke_old,
        )
        return pb.RotateSecretResponse(
            success=True, message="Secret changed", data=webhook_message(webhook, secret)
        )

    async def SendTest(
        self, request: pb.SendTestRequest, _context: grpc.aio.ServicerContext
    ) -> pb.SendTestResponse:
        """Queue a test."""
        delivery = await self._deliveries.send_test(mapping.webhook_id(request.webhook_id))
        return pb.SendTestResponse(
            success=True, message="Test queued", data=delivery_message(delivery)
        )

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListDeliveriesResponse:
        """List deliveries, newest first."""
        webhook_id = mapping.webhook_id(request.webhook_id)
        filter_values: dict[str, str | int | None] = {
            "list": "webhook_deliveries",
            "webhook_id": webhook_id,
            "state": request.state,
        }
        size = request.page_size or _PAGE
        page = await self._deliveries.page(
            webhook_id,
            state=request.state,
            after=_after(request.page_token, filter_values),
            limit=size + 1,
        )
        shown = page[:size]
        token = ""
        if len(page) > size:
            token = _token(filter_values, shown[-1].created_at, shown[-1].id)
        return pb.ListDeliveriesResponse(
            success=True,
            message=f"{len(shown)} {'delivery' if len(shown) == 1 else 'deliveries'}",
            data=[delivery_message(delivery) for delivery in shown],
            next_page_token=token,
        )

    async def GetDelivery(
        self, request: pb.GetDeliveryRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetDeliveryResponse:
        """Read one delivery."""
        delivery = await self._deliveries.get(
            mapping.webhook_id(request.webhook_id), mapping.delivery_id(request.delivery_id)
        )
        return pb.GetDeliveryResponse(
            success=True, message="Delivery found", data=delivery_message(delivery)
        )

    async def ReplayDelivery(
        self, request: pb.ReplayDeliveryRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ReplayDeliveryResponse:
        """Send a delivery again."""
        delivery = await self._deliveries.replay(
            mapping.webhook_id(request.webhook_id), mapping.delivery_id(request.delivery_id)
        )
        return pb.ReplayDeliveryResponse(
            success=True, message="Delivery queued again", data=delivery_message(delivery)
        )


def _token(filter_values: dict[str, str | int | None], at: datetime, row_id: str) -> str:
    return encode_page_token(filter_values, [at.astimezone(UTC).isoformat(), row_id])


def _after(token: str, filter_values: dict[str, str | int | None]) -> tuple[datetime, str] | None:
    if not token:
        return None
    values = decode_page_token(token, filter_values, key_length=2)
    try:
        moment = datetime.fromisoformat(values[0])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID", "The page token is not valid; ask for the first page again."
        )
    return moment, values[1]
