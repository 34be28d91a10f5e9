"""What `dfip webhooks …` does."""

import asyncio
import uuid
from collections.abc import Sequence

import grpc

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of, is_id, only_one
from cli.client.pages import all_pages
from cli.client.times import full_time, short_time
from cli.failures import CommandFailed, ExitCode
from cli.output import Column, Output, to_json
from cli.talk import Talk
from dfip.control_plane.v1 import webhook_pb2, webhook_service_pb2_grpc
from dfip.control_plane.v1 import webhook_service_pb2 as pb

_POLL_S = 0.3
_ANSWERS_WITHIN_S = 20.0
_KEEP_SECRET = "The secret is told this once; the receiver needs it to check signatures."  # noqa: S105 - a sentence

WEBHOOK: tuple[Column[webhook_pb2.Webhook], ...] = (
    Column(title="id", value=lambda w: w.id),
    Column(title="name", value=lambda w: w.name),
    Column(title="enabled", value=lambda w: "yes" if w.enabled else "no"),
    Column(title="why not", value=lambda w: w.disabled_reason),
    Column(title="events", value=lambda w: ",".join(w.event_types)),
    # what stands behind a ? is often a token; on a terminal, somebody may look over a shoulder
    Column(title="url", value=lambda w: w.url, shown=lambda w: _without_query(w.url), aside=True),
    Column(title="cameras", value=lambda w: ",".join(w.camera_ids), aside=True),
    Column(title="dropped", value=lambda w: str(w.dropped), aside=True),
)
_SECRET: Column[webhook_pb2.Webhook] = Column(title="secret", value=lambda w: w.secret)
WITH_SECRET = (*WEBHOOK, _SECRET)

DELIVERY: tuple[Column[webhook_pb2.WebhookDelivery], ...] = (
    Column(title="id", value=lambda d: d.id),
    Column(title="event", value=lambda d: d.event_type),
    Column(title="state", value=lambda d: d.state),
    Column(title="attempts", value=lambda d: str(d.attempts)),
    Column(title="status", value=lambda d: str(d.last_status or "")),
    Column(title="reason", value=lambda d: d.failure_reason),
    Column(
        title="queued",
        value=lambda d: full_time(d.created_at),
        shown=lambda d: short_time(d.created_at),
    ),
    Column(
        title="next attempt",
        value=lambda d: full_time(d.next_attempt_at),
        shown=lambda d: short_time(d.next_attempt_at),
    ),
    Column(title="sequence", value=lambda d: str(d.event_sequence or ""), aside=True),
)


async def create_webhook(
    access: Access,
    output: Output,
    talk: Talk,
    *,
    name: str,
    url: str,
    event_types: Sequence[str],
    cameras: Sequence[str],
    enabled: bool,
    secret: str,
) -> None:
    """Register a webhook and print it with its secret."""
    async with connected(access) as channel:
        answer = await _stub(channel).CreateWebhook(
            pb.CreateWebhookRequest(
                name=name,
                url=url,
                event_types=event_types,
                camera_ids=[await camera_id_of(channel, camera) for camera in cameras],
                enabled=enabled,
                secret=secret,
                request_id=str(uuid.uuid4()),
            )
        )
    output.record(answer.data, WITH_SECRET)
    talk.say(_KEEP_SECRET)


async def list_webhooks(access: Access, output: Output) -> None:
    """Print all webhooks."""
    async with connected(access) as channel:
        found = await _all(channel)
    output.listing(
        found,
        WEBHOOK,
        empty="There is no webhook yet; make one with `dfip webhooks create NAME URL`.",
    )


async def show_webhook(access: Access, output: Output, *, webhook: str) -> None:
    """Print a webhook."""
    async with connected(access) as channel:
        request = pb.GetWebhookRequest(webhook_id=await _id_of(channel, webhook))
        answer = await _stub(channel).GetWebhook(request)
    output.record(answer.data, WEBHOOK)


async def set_enabled(access: Access, output: Output, *, webhook: str, enabled: bool) -> None:
    """Have events posted to a webhook, or not, and print it."""
    async with connected(access) as channel:
        request = pb.UpdateWebhookRequest(
            webhook_id=await _id_of(channel, webhook), enabled=enabled
        )
        answer = await _stub(channel).UpdateWebhook(request)
    output.record(answer.data, WEBHOOK)


async def delete_webhook(access: Access, output: Output, talk: Talk, *, webhook: str) -> None:
    """Remove a webhook and its deliveries."""
    async with connected(access) as channel:
        request = pb.DeleteWebhookRequest(webhook_id=await _id_of(channel, webhook))
        answer = await _stub(channel).DeleteWebhook(request)
    if output.as_json:
        output.text("", to_json(answer))
    talk.say(f"{webhook} is removed.")


async def rotate_secret(
    access: Access, output: Output, talk: Talk, *, webhook: str, secret: str, revoke_old: bool
) -> None:
    """Take a new secret, and print the webhook with it."""
    async with connected(access) as channel:
        answer = await _stub(channel).RotateSecret(
            pb.RotateSecretRequest(
                webhook_id=await _id_of(channel, webhook), secret=secret, revoke_old=revoke_old
            )
        )
    output.record(answer.data, WITH_SECRET)
    talk.say(_KEEP_SECRET)
    if answer.data.HasField("previous_secret_expires_at"):
        until = full_time(answer.data.previous_secret_expires_at)
        talk.say(f"The secret before it signs too, until {until}.")


async def try_webhook(access: Access, output: Output, *, webhook: str) -> None:
    """Send a test, wait for its first attempt, and print how it went.

    Raises:
        CommandFailed: It did not arrive.
    """
    async with connected(access) as channel:
        stub = _stub(channel)
        webhook_id = await _id_of(channel, webhook)
        sent = (await stub.SendTest(pb.SendTestRequest(webhook_id=webhook_id))).data
        request = pb.GetDeliveryRequest(webhook_id=webhook_id, delivery_id=sent.id)
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                while sent.state == "pending" and not sent.failure_reason:
                    await asyncio.sleep(_POLL_S)
                    sent = (await stub.GetDelivery(request)).data
        except TimeoutError:
            raise CommandFailed(
                f"The test is not sent yet; look later with `dfip webhooks deliveries {webhook}`.",
                code=ExitCode.TIMED_OUT,
            ) from None
    output.record(sent, DELIVERY)
    if sent.state != "delivered":
        status = f" (status {sent.last_status})" if sent.last_status else ""
        raise CommandFailed(
            f"The test did not arrive: {sent.failure_reason}{status}; check the address and the"
            " receiver, it is tried again."
            if sent.state == "pending"
            else f"The test did not arrive: {sent.failure_reason}{status}."
        )


async def list_deliveries(
    access: Access, output: Output, *, webhook: str, state: str, limit: int
) -> None:
    """Print the newest deliveries of a webhook, newest first."""
    async with connected(access) as channel:
        request = pb.ListDeliveriesRequest(webhook_id=await _id_of(channel, webhook), state=state)
        found = await all_pages(_stub(channel).ListDeliveries, request, limit=limit)
    output.listing(found, DELIVERY, empty="Nothing was sent yet.")


async def replay_delivery(access: Access, output: Output, *, webhook: str, delivery: str) -> None:
    """Send a delivery again, and print it."""
    async with connected(access) as channel:
        answer = await _stub(channel).ReplayDelivery(
            pb.ReplayDeliveryRequest(
                webhook_id=await _id_of(channel, webhook), delivery_id=delivery
            )
        )
    output.record(answer.data, DELIVERY)


async def webhook_names(channel: grpc.aio.Channel) -> dict[str, str]:
    """Return the name of each webhook by its id."""
    return {webhook.id: webhook.name for webhook in await _all(channel)}


def _stub(channel: grpc.aio.Channel) -> webhook_service_pb2_grpc.WebhookServiceStub:
    return webhook_service_pb2_grpc.WebhookServiceStub(channel)


async def _all(channel: grpc.aio.Channel) -> list[webhook_pb2.Webhook]:
    return await all_pages(_stub(channel).ListWebhooks, pb.ListWebhooksRequest())


async def _id_of(channel: grpc.aio.Channel, reference: str) -> str:
    if is_id(reference):
        return reference
    return only_one(
        reference,
        "webhook",
        await _all(channel),
        lambda w: w.name,
        lambda w: w.id,
        listing="webhooks list",
    )


def _without_query(url: str) -> str:
    address, question, _ = url.partition("?")
    return address + ("?…" if question else "")
