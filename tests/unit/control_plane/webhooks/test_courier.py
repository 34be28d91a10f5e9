"""Sending against real receivers: tried again, given up, replayed; by one courier and by two."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import delete, update
from standardwebhooks.webhooks import Webhook as Verifier

from control_plane.database import Database
from control_plane.events.tables import EventRow
from control_plane.people.model import PersonChange
from control_plane.people.store import PersonStore
from control_plane.webhooks import model
from control_plane.webhooks.courier import LEASE, Courier
from control_plane.webhooks.model import Delivery, Webhook, WebhookChange
from control_plane.webhooks.schedule import ATTEMPTS, LONGEST_WAIT_S
from control_plane.webhooks.sender import TIMEOUT_S
from control_plane.webhooks.tables import WebhookRow
from service_runtime.errors import FailedPrecondition, NotFound
from service_runtime.identifiers import new_id
from tests.support.receiver import Receiver, receiving
from tests.support.virtual_clock import settle
from tests.unit.control_plane.webhooks.conftest import World


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@asynccontextmanager
async def carrying(world: World, courier: Courier | None = None) -> AsyncIterator[Courier]:
    """Run a courier until the block ends."""
    courier = courier or world.new_courier()
    task = asyncio.create_task(courier.run())
    try:
        yield courier
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def queue(world: World, webhook: Webhook, count: int = 1) -> list[Delivery]:
    """Have events happen and become deliveries of a webhook."""
    await world.happen(*["camera.updated"] * count)
    await world.spread()
    return await world.of(webhook, "pending")


async def until(world: World, webhook: Webhook, *states: str, attempts: int = 0) -> list[Delivery]:
    """Wait until the deliveries of a webhook are in these states, without a clock of our own."""
    async with asyncio.timeout(20):
        while True:
            found = await world.of(webhook)
            if [d.state for d in found] == list(states) and all(
                d.attempts >= attempts
                and (d.failure_reason or not attempts or d.state != "pending")
                for d in found
            ):
                return found
            await settle()


async def test_an_event_arrives_signed_and_rendered(world: World, receiver: Receiver) -> None:
    webhook, secret = await world.webhook(receiver.url("/hook?key=k"))
    (queued,) = await queue(world, webhook)
    async with carrying(world):
        got = await receiver.next()
        (delivery,) = await until(world, webhook, "delivered")
    assert got.headers["webhook-id"] == queued.id
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert int(got.headers["webhook-timestamp"]) == int(world.clock.now().timestamp())
    sent = Verifier(secret.reveal()).sign(queued.id, world.clock.now(), got.body.decode())
    assert got.headers["webhook-signature"] == sent
    event = json.loads(got.body)
    assert event["type"] == "dfip.camera.updated"
    assert event["id"] == str(queued.event_sequence)
    assert event["data"]["type"] == "camera.updated"
    assert (delivery.attempts, delivery.last_status, delivery.failure_reason) == (1, 204, "")
    assert delivery.due_at is None
    assert delivery.finished_at == world.clock.now()


async def rounds(courier: Courier) -> None:
    """Send what is due now, wait until it is back, and record it."""
    await courier.turn()
    await asyncio.gather(*courier._flights)
    await courier.turn()


async def test_tried_again_given_up_and_replayed_under_one_id(
    world: World, receiver: Receiver
) -> None:
    webhook, _ = await world.webhook(receiver.url())
    courier = world.new_courier()
    receiver.answer(500)
    (queued,) = await queue(world, webhook)
    begun = world.clock.now()
    for attempt in range(1, ATTEMPTS + 1):
        await rounds(courier)
        (tried,) = await world.of(webhook)
        assert receiver.connections == tried.attempts == attempt
        assert (tried.last_status, tried.failure_reason) == (500, "status")
        if tried.due_at is not None:
            # not a moment before its time
            await world.clock.advance((tried.due_at - world.clock.now()).total_seconds() - 0.01)
            await rounds(courier)
            assert receiver.connections == attempt
            await world.clock.advance(0.02)
    assert tried.state == "dead"
    assert tried.finished_at == world.clock.now()
    assert 18 < (world.clock.now() - begun).total_seconds() / 3600 < 30
    receiver.answer(200)
    replayed = await world.deliveries.replay(webhook.id, queued.id)
    assert (replayed.state, replayed.failure_reason) == ("pending", "")
    with pytest.raises(FailedPrecondition, match="on its way"):
        await world.deliveries.replay(webhook.id, queued.id)
    await rounds(courier)
    (done,) = await world.of(webhook)
    assert (done.state, done.attempts) == ("delivered", ATTEMPTS + 1)
    ids = {receiver.posts.get_nowait().headers["webhook-id"] for _ in range(ATTEMPTS + 1)}
    assert ids == {queued.id}


async def test_gone_disables_the_webhook(world: World, receiver: Receiver) -> None:
    webhook, _ = await world.webhook(receiver.url())
    receiver.answer(410)
    await queue(world, webhook)
    async with carrying(world):
        (dead,) = await until(world, webhook, "dead")
        assert dead.failure_reason == "gone"
        now = await world.store.get(webhook.id)
        assert (now.enabled, now.disabled_reason) == (False, "gone")
        assert await queue(world, webhook) == []
        with pytest.raises(FailedPrecondition, match="enable it"):
            await world.deliveries.replay(webhook.id, dead.id)
        receiver.answer(204)
        await world.store.update(webhook.id, WebhookChange(enabled=True))
        await queue(world, webhook)
        await until(world, webhook, "dead", "delivered")


async def test_a_receiver_that_asks_for_rest_gets_it_for_all(
    world: World, receiver: Receiver
) -> None:
    webhook, _ = await world.webhook(receiver.url())
    courier = world.new_courier()
    receiver.answer(429, retry_after="3600")
    await queue(world, webhook)
    await rounds(courier)
    receiver.answer(204)
    await queue(world, webhook)
    await world.clock.advance(3599)
    await rounds(courier)
    assert [d.attempts for d in await world.of(webhook)] == [1, 0]
    assert (await world.store.get(webhook.id)).rests_until is not None
    await world.clock.advance(1)
    await rounds(courier)
    assert [d.state for d in await world.of(webhook)] == ["delivered"] * 2


async def test_a_redirect_is_a_failure_and_its_target_hears_nothing(
    world: World, receiver: Receiver
) -> None:
    webhook, _ = await world.webhook(receiver.url())
    await queue(world, webhook)
    async with receiving() as canary:
        receiver.answer(307, location=canary.url())
        async with carrying(world):
            (tried,) = await until(world, webhook, "pending", attempts=1)
        assert (tried.last_status, tried.failure_reason) == (307, "redirected")
        assert canary.connections == 0


async def test_a_receiver_that_hangs_has_few_places_and_takes_none_of_others(
    world: World, receiver: Receiver
) -> None:
    async with receiving() as slow:
        slow.hang()
        hangs, _ = await world.webhook(slow.url())
        works, _ = await world.webhook(receiver.url())
        await queue(world, hangs, 9)
        async with carrying(world):
            await until(world, works, *["delivered"] * 9)
            await slow.until_open(model.AT_ONCE)
            assert slow.most_open == model.AT_ONCE
            await world.clock.advance(TIMEOUT_S)
            async with asyncio.timeout(20):
                while slow.connections < 2 * model.AT_ONCE:
                    await settle()
            timed_out = [d for d in await world.of(hangs) if d.failure_reason == "timeout"]
            assert len(timed_out) == model.AT_ONCE
            assert slow.most_open <= model.AT_ONCE


async def test_two_couriers_deliver_each_once(world: World, receiver: Receiver) -> None:
    webhook, _ = await world.webhook(receiver.url())
    queued = await queue(world, webhook, 16)
    async with carrying(world), carrying(world, world.new_courier()):
        done = await until(world, webhook, *["delivered"] * 16)
    assert {d.attempts for d in done} == {1}
    ids = [receiver.posts.get_nowait().headers["webhook-id"] for _ in range(16)]
    assert sorted(ids) == sorted(d.id for d in queued)
    assert receiver.posts.empty()


async def test_a_courier_that_dies_after_its_claim_leaves_it_to_others(
    world: World, receiver: Receiver
) -> None:
    webhook, _ = await world.webhook(receiver.url())
    (queued,) = await queue(world, webhook)
    receiver.hang()
    async with carrying(world):
        first = await receiver.next()
    receiver.answering.set()
    # claimed and sent, never recorded; nobody touches it before the lease is over
    other = world.new_courier()
    await world.clock.advance(LEASE.total_seconds() - 1)
    await rounds(other)
    assert receiver.connections == 1
    await world.clock.advance(1)
    await rounds(other)
    second = await receiver.next()
    (done,) = await world.of(webhook)
    assert (done.state, done.attempts) == ("delivered", 2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == queued.id
    assert first.body == second.body


async def test_one_who_comes_back_too_late_records_nothing(
    world: World, receiver: Receiver
) -> None:
    webhook, _ = await world.webhook(receiver.url())
    await queue(world, webhook)
    late, other = world.new_courier(), world.new_courier()
    receiver.answer(410)
    await late.turn()
    await receiver.next()
    await asyncio.gather(*late._flights)
    await world.clock.advance(LEASE.total_seconds() + 1)
    receiver.answer(204)
    await other.turn()
    await asyncio.gather(*other._flights)
    await other.turn()
    await late.turn()
    (delivery,) = await world.of(webhook)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 2, 204)


async def test_both_secrets_sign_for_a_day(world: World, receiver: Receiver) -> None:
    webhook, old = await world.webhook(receiver.url())
    changed, new = await world.store.rotate_secret(webhook.id, secret=None, revoke_old=False)
    assert changed.old_secret_until is not None
    with pytest.raises(FailedPrecondition, match="revoke_old"):
        await world.store.rotate_secret(webhook.id, secret=None, revoke_old=False)

    async def signatures() -> list[str]:
        (queued,) = await queue(world, webhook)
        async with carrying(world):
            got = await receiver.next()
            await until(world, webhook, *["delivered"] * len(await world.of(webhook)))
        for key, signature in zip(
            (new, old), got.headers["webhook-signature"].split(), strict=False
        ):
            body, at = got.body.decode(), world.clock.now()
            assert Verifier(key.reveal()).sign(queued.id, at, body) == signature
        return got.headers["webhook-signature"].split()

    assert len(await signatures()) == 2
    await world.clock.advance(model.OLD_SECRET_SIGNS.total_seconds())
    assert len(await signatures()) == 1
    _, newest = await world.store.rotate_secret(webhook.id, secret=None, revoke_old=True)
    new, old = newest, newest
    assert len(await signatures()) == 1


async def test_an_erased_person_is_in_nothing_that_is_sent_or_stored(
    world: World, database: Database, receiver: Receiver, seals: object
) -> None:
    del seals
    people = PersonStore(database, world.seals._vault)
    webhook, _ = await world.webhook(receiver.url(), "person.*")
    await people.create(name="Canary Person", notes="canary", labels=(), request_id=None)
    await world.spread()
    # the event lost what it told, as erasure has it
    async with database.write() as tx:
        await tx.session.execute(update(EventRow).values(payload={}))
    async with carrying(world):
        got = await receiver.next()
        await until(world, webhook, "delivered")
    assert b"anary" not in got.body
    stored = [repr(vars(row)) for row in await world.rows()]
    assert len(stored) == 1
    assert "anary" not in stored[0]


async def test_an_alert_names_its_person_as_of_now_and_is_its_own_subject(
    world: World, database: Database, receiver: Receiver
) -> None:
    people = PersonStore(database, world.seals._vault)
    person = await people.create(name="Ada", notes="", labels=(), request_id=None)
    webhook, _ = await world.webhook(receiver.url(), "alert.raised")
    alert = {"id": new_id(), "person_id": person.id, "camera_id": new_id()}
    async with database.write() as tx:
        await tx.append_event("alert.raised", person_id=person.id, payload={"alert": alert})
    await world.spread()
    await people.update(person.id, PersonChange(name="Ada Lovelace"))
    async with carrying(world):
        event = json.loads((await receiver.next()).body)
        await until(world, webhook, "delivered")
    assert event["subject"] == f"alerts/{alert['id']}"
    assert event["data"]["alert"]["person_name"] == "Ada Lovelace"


async def test_an_event_that_was_compacted_away_is_given_up(
    world: World, database: Database, receiver: Receiver
) -> None:
    webhook, _ = await world.webhook(receiver.url())
    await queue(world, webhook)
    async with database.write() as tx:
        await tx.session.execute(delete(EventRow))
    async with carrying(world):
        (dead,) = await until(world, webhook, "dead")
    assert (dead.failure_reason, dead.attempts) == ("compacted", 1)
    assert receiver.connections == 0


async def test_a_removed_webhook_is_sent_nothing_more(world: World, receiver: Receiver) -> None:
    webhook, _ = await world.webhook(receiver.url())
    await queue(world, webhook, 3)
    await world.store.delete(webhook.id)
    assert await world.rows() == []
    with pytest.raises(NotFound):
        await world.store.delete(webhook.id)
    async with carrying(world):
        await world.clock.advance(60)
    assert receiver.connections == 0


async def test_a_test_is_sent_and_says_so(world: World, receiver: Receiver) -> None:
    webhook, _ = await world.webhook(receiver.url())
    queued = await world.deliveries.send_test(webhook.id)
    async with carrying(world):
        got = await receiver.next()
        await until(world, webhook, "delivered")
    assert json.loads(got.body)["type"] == "dfip.webhook.test"
    assert json.loads(got.body)["id"] == queued.id


async def test_what_does_not_open_is_tried_again_and_said(
    world: World, database: Database, receiver: Receiver
) -> None:
    webhook, _ = await world.webhook(receiver.url())
    await queue(world, webhook)
    async with database.write() as tx:
        await tx.session.execute(update(WebhookRow).values(sealed_secret=b"\x01nonsense"))
    async with carrying(world):
        (tried,) = await until(world, webhook, "pending", attempts=1)
    assert tried.failure_reason == "unreadable"
    assert receiver.connections == 0


async def test_a_wait_is_never_longer_than_the_longest(world: World, receiver: Receiver) -> None:
    webhook, _ = await world.webhook(receiver.url())
    receiver.answer(503, retry_after="999999999")
    await queue(world, webhook)
    async with carrying(world):
        (tried,) = await until(world, webhook, "pending", attempts=1)
    assert tried.due_at is not None
    assert (tried.due_at - world.clock.now()).total_seconds() == LONGEST_WAIT_S
