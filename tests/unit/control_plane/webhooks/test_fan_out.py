"""Events become deliveries: once each, for those who want them, whoever looks."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from control_plane.database import Database
from control_plane.events.compaction import compact
from control_plane.webhooks.fan_out import BATCH, FanOut
from control_plane.webhooks.model import WebhookChange
from service_runtime.identifiers import new_id
from tests.unit.control_plane.webhooks.conftest import World

URL = "https://receiver.example/"


async def test_a_delivery_for_each_event_that_is_wanted(world: World) -> None:
    camera = new_id()
    everything, _ = await world.webhook(URL, "*")
    cameras, _ = await world.webhook(URL, "camera.*", camera_ids=[camera])
    await world.happen("camera.created", "internal.epoch_issued", "alert.raised")
    await world.happen("camera.enabled", camera_id=camera)
    await world.spread()
    assert [d.event_type for d in await world.of(everything)] == [
        "camera.created",
        "alert.raised",
        "camera.enabled",
    ]
    (only,) = await world.of(cameras)
    assert (only.event_type, only.state, only.attempts) == ("camera.enabled", "pending", 0)


async def test_what_was_before_it_is_not_for_a_webhook(world: World) -> None:
    await world.happen("camera.created", "camera.created")
    first, _ = await world.webhook(URL)
    await world.happen("camera.updated")
    second, _ = await world.webhook(URL)
    await world.happen("camera.deleted")
    await world.spread()
    assert [d.event_type for d in await world.of(first)] == ["camera.updated", "camera.deleted"]
    assert [d.event_type for d in await world.of(second)] == ["camera.deleted"]


async def test_what_happened_while_it_was_disabled_is_not_made_up_for(world: World) -> None:
    webhook, _ = await world.webhook(URL)
    await world.store.update(webhook.id, WebhookChange(enabled=False))
    await world.happen("camera.created")
    await world.spread()
    enabled = await world.store.update(webhook.id, WebhookChange(enabled=True))
    assert (enabled.enabled, enabled.disabled_reason) == (True, "")
    await world.happen("camera.updated")
    await world.spread()
    assert [d.event_type for d in await world.of(webhook)] == ["camera.updated"]


async def test_a_crash_before_the_commit_adds_nothing_and_after_it_adds_nothing_twice(
    world: World,
) -> None:
    webhook, _ = await world.webhook(URL)
    await world.happen("camera.created")
    with contextlib.suppress(ZeroDivisionError):
        async with world.database.write() as tx:
            assert await world.fan_out._add(tx) == 1
            raise ZeroDivisionError
    assert await world.of(webhook) == []
    await world.spread()
    # a process that begins anew knows nothing but the cursor
    again = FanOut(world.database, world.clock, world.store.changed)
    assert not await again.step()
    assert len(await world.of(webhook)) == 1


async def test_two_replicas_add_each_once(world: World) -> None:
    webhook, _ = await world.webhook(URL)
    other = FanOut(world.database, world.clock, world.store.changed)
    for _ in range(10):
        await world.happen("camera.created", "camera.updated")
        await asyncio.gather(world.fan_out.step(), other.step())
    await world.spread()
    sequences = [d.event_sequence for d in await world.of(webhook)]
    assert len(sequences) == len(set(sequences)) == 20


async def test_more_events_than_a_step_takes(world: World) -> None:
    webhook, _ = await world.webhook(URL, "camera.created")
    async with world.database.write() as tx:
        for number in range(BATCH + 5):
            kind = "camera.created" if number % 2 else "camera.updated"
            await tx.append_event(kind, payload={})
    await world.spread()
    assert len(await world.of(webhook)) == (BATCH + 5) // 2


async def test_the_queue_of_a_webhook_is_bounded(world: World, database: Database) -> None:
    webhook, _ = await world.webhook(URL)
    small = FanOut(database, world.clock, world.store.changed, most_pending=3)
    await world.happen(*["camera.updated"] * 5)
    await small.step()
    states = [(d.state, d.failure_reason) for d in await world.of(webhook)]
    assert states == [("dead", "queue_full")] * 2 + [("pending", "")] * 3
    assert (await world.store.get(webhook.id)).dropped == 2


async def test_events_that_were_compacted_away_are_missed_and_said(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook, _ = await world.webhook(URL)
    await world.happen("camera.created", "camera.updated", "camera.deleted")
    await compact(world.database, older_than=timedelta(days=1), keep=1)
    await world.spread()
    assert [d.event_type for d in await world.of(webhook)] == ["camera.deleted"]
    assert "webhooks.events_missed" in capsys.readouterr().err


async def test_the_task_follows_commits(world: World) -> None:
    webhook, _ = await world.webhook(URL)
    task = asyncio.create_task(world.fan_out.run())
    changed = world.store.changed.next()
    await world.happen("camera.created")
    async with asyncio.timeout(10):
        await changed.wait()
    assert len(await world.of(webhook)) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
