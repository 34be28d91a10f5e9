"""Webhooks in a real database, and what tests do with them most."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from control_plane.database import Database
from control_plane.webhooks import mapping
from control_plane.webhooks.courier import Courier
from control_plane.webhooks.deliveries import DeliveryStore
from control_plane.webhooks.fan_out import FanOut
from control_plane.webhooks.model import Delivery, Webhook
from control_plane.webhooks.resolver import NameUnknown
from control_plane.webhooks.sealing import WebhookSeals
from control_plane.webhooks.sender import Sender, trusting
from control_plane.webhooks.store import WebhookStore
from control_plane.webhooks.tables import WebhookDeliveryRow
from control_plane.webhooks.url import receiver_policy
from dfip.control_plane.v1 import webhook_service_pb2 as pb
from service_runtime.addresses import Address
from service_runtime.secret import Secret
from tests.support.keys import vault_with
from tests.support.virtual_clock import VirtualClock

LOOPBACK = receiver_policy(networks="127.0.0.0/8", http=True)


class ScriptedNames:
    """A resolver that answers what a test wrote down, one answer after the other."""

    def __init__(self, **answers: list[tuple[Address, ...]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def addresses(self, host: str) -> tuple[Address, ...]:
        self.asked.append(host)
        answers = self.answers.get(host.partition(".")[0])
        if not answers:
            raise NameUnknown
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Webhooks, and what happens to them."""

    database: Database
    clock: VirtualClock
    seals: WebhookSeals
    store: WebhookStore
    deliveries: DeliveryStore
    fan_out: FanOut
    new_courier: Callable[[], Courier]

    async def webhook(self, url: str, *types: str, **more: object) -> tuple[Webhook, Secret]:
        request = pb.CreateWebhookRequest(
            name="receiver",
            url=url,
            event_types=types or ("camera.*",),
            **more,  # type: ignore[arg-type]  # fields of the request
        )
        webhook, secret = await self.store.create(mapping.new_webhook(request, LOOPBACK))
        assert secret is not None
        return webhook, secret

    async def happen(self, *types: str, camera_id: str | None = None) -> None:
        for kind in types:
            async with self.database.write() as tx:
                await tx.append_event(kind, camera_id=camera_id, payload={})

    async def spread(self) -> None:
        """Turn events into deliveries."""
        while await self.fan_out.step():
            pass

    async def of(self, webhook: Webhook, state: str = "") -> list[Delivery]:
        """Return the deliveries of a webhook, the oldest first."""
        found = await self.deliveries.page(webhook.id, state=state, after=None, limit=10_000)
        return sorted(found, key=lambda delivery: delivery.event_sequence or 0)

    async def rows(self) -> list[WebhookDeliveryRow]:
        async with self.database.read() as session:
            return list(await session.scalars(select(WebhookDeliveryRow)))


@pytest.fixture
def seals() -> WebhookSeals:
    return WebhookSeals(vault_with())


@pytest.fixture
def names() -> ScriptedNames:
    return ScriptedNames()


@pytest.fixture
def world(
    database: Database, clock: VirtualClock, seals: WebhookSeals, names: ScriptedNames
) -> World:
    store = WebhookStore(database, seals)

    def new_courier() -> Courier:
        return Courier(
            database=database,
            seals=seals,
            sender=Sender(LOOPBACK, names, clock, trusting(None)),
            changed=store.changed,
            clock=clock,
            rng=random.Random(1),
        )

    return World(
        database=database,
        clock=clock,
        seals=seals,
        store=store,
        deliveries=DeliveryStore(database, store.changed),
        fan_out=FanOut(database, clock, store.changed),
        new_courier=new_courier,
    )
