"""Webhooks and deliveries as the contract's messages, and requests as values."""

import contextlib
from collections.abc import Iterable

from control_plane.runtime.mapping import timestamp
from control_plane.runtime.store import camera_not_found
from control_plane.webhooks import model
from control_plane.webhooks.model import Delivery, NewWebhook, Webhook, WebhookChange
from control_plane.webhooks.signature import make_secret, parse_secret
from control_plane.webhooks.url import ReceiverPolicy, parse_receiver, require_allowed
from dfip.control_plane.v1 import webhook_pb2
from dfip.control_plane.v1 import webhook_service_pb2 as pb
from service_runtime.errors import NotFound
from service_runtime.identifiers import parse_id
from service_runtime.secret import Secret


def new_webhook(request: pb.CreateWebhookRequest, policy: ReceiverPolicy) -> NewWebhook:
    """Return the webhook to register.

    Raises:
        InvalidArgument: Something about it is not acceptable.
        NotFound: A camera's id is none.
    """
    name = model.clean_name(request.name)
    types = model.clean_types(request.event_types)
    cameras = _cameras(request.camera_ids)
    enabled = request.enabled if request.HasField("enabled") else True
    return NewWebhook(
        name=name,
        url=_url(request.url, policy),
        event_types=types,
        camera_ids=cameras,
        enabled=enabled,
        secret=parse_secret(request.secret) if request.secret else make_secret(),
        request_id=request.request_id or None,
        request_digest=model.request_digest(
            name, request.url, types, cameras, request.secret, enabled=enabled
        ),
    )


def change_of(request: pb.UpdateWebhookRequest, policy: ReceiverPolicy) -> WebhookChange:
    """Return what the request changes: the fields that are there.

    Raises:
        InvalidArgument: Something about it is not acceptable.
        NotFound: A camera's id is none.
    """
    has = request.HasField
    return WebhookChange(
        name=model.clean_name(request.name) if has("name") else None,
        url=_url(request.url, policy) if has("url") else None,
        event_types=(model.clean_types(request.event_types.values) if has("event_types") else None),
        camera_ids=_cameras(request.camera_ids.values) if has("camera_ids") else None,
        enabled=request.enabled if has("enabled") else None,
        etag=request.etag,
    )


def webhook_message(webhook: Webhook, secret: Secret | None = None) -> webhook_pb2.Webhook:
    """Return a webhook for an administrator; with its secret where it is told."""
    message = webhook_pb2.Webhook(
        id=webhook.id,
        name=webhook.name,
        url=webhook.url.reveal(),
        event_types=webhook.event_types,
        camera_ids=webhook.camera_ids,
        enabled=webhook.enabled,
        disabled_reason=webhook.disabled_reason,
        dropped=webhook.dropped,
        etag=webhook.etag,
        created_at=timestamp(webhook.created_at),
        updated_at=timestamp(webhook.updated_at),
    )
    if secret is not None:
        message.secret = secret.reveal()
    if webhook.old_secret_until is not None:
        message.previous_secret_expires_at.CopyFrom(timestamp(webhook.old_secret_until))
    if webhook.rests_until is not None:
        message.rests_until.CopyFrom(timestamp(webhook.rests_until))
    return message


def delivery_message(delivery: Delivery) -> webhook_pb2.WebhookDelivery:
    """Return a delivery for an administrator."""
    message = webhook_pb2.WebhookDelivery(
        id=delivery.id,
        webhook_id=delivery.webhook_id,
        event_sequence=delivery.event_sequence or 0,
        event_type=delivery.event_type,
        state=delivery.state,
        attempts=delivery.attempts,
        last_status=delivery.last_status or 0,
        failure_reason=delivery.failure_reason,
        created_at=timestamp(delivery.created_at),
    )
    if delivery.due_at is not None:
        message.next_attempt_at.CopyFrom(timestamp(delivery.due_at))
    if delivery.finished_at is not None:
        message.finished_at.CopyFrom(timestamp(delivery.finished_at))
    return message


def webhook_id(text: str) -> str:
    """Return the id of a webhook.

    Raises:
        NotFound: It is none.
    """
    with contextlib.suppress(NotFound):
        return parse_id(text, noun="webhook")
    raise model.webhook_not_found(text[:64])


def delivery_id(text: str) -> str:
    """Return the id of a delivery.

    Raises:
        NotFound: It is none.
    """
    with contextlib.suppress(NotFound):
        return parse_id(text, noun="delivery")
    raise model.delivery_not_found(text[:64])


def _url(text: str, policy: ReceiverPolicy) -> Secret:
    require_allowed(parse_receiver(text), policy)
    return Secret(text)


def _cameras(ids: Iterable[str]) -> tuple[str, ...]:
    return model.same_cameras(_camera_id(text) for text in ids)


def _camera_id(text: str) -> str:
    with contextlib.suppress(NotFound):
        return parse_id(text, noun="camera")
    raise camera_not_found(text[:64])
