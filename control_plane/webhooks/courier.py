"""Sends what is due: claims rows, posts, records how it went.

One task takes turns: a turn records what has come back and claims what is due, in one transaction;
every claim is posted by a task of its own. A claim moves the row's time past the deadline of an
attempt, so that a courier that dies leaves it to others, under the same id; it counts the row's
attempts, so that one who comes back too late records nothing. Rows that another replica is claiming
are skipped (SKIP LOCKED; SQLite has one process). Each webhook has places of its own, so a receiver
that hangs holds up nobody else.

What is sent is read from the feed just before, with people's names as they are then.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import prometheus_client
from sqlalchemy import select, update

from control_plane.database import Broadcast, Database, Transaction
from control_plane.encryption import VaultError
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable, KeyRingStale
from control_plane.events.mapping import event_message, event_object
from control_plane.events.model import FeedEvent
from control_plane.events.reading import events_again
from control_plane.events.tables import FeedRow
from control_plane.webhooks import model
from control_plane.webhooks.cloud_event import event_body, make_test_body
from control_plane.webhooks.schedule import Attempt, Verdict, judge
from control_plane.webhooks.sealing import WebhookSeals
from control_plane.webhooks.sender import TIMEOUT_S, Sender
from control_plane.webhooks.signature import signed_headers
from control_plane.webhooks.tables import WebhookDeliveryRow, WebhookRow
from control_plane.webhooks.url import Receiver, parse_receiver
from service_runtime.clock import Clock, wait_at_most
from service_runtime.errors import InvalidArgument
from service_runtime.secret import Secret
from service_runtime.structured_logging import get_logger

# longer than an attempt and the turns around it
LEASE: Final = timedelta(seconds=4 * TIMEOUT_S)
# what other replicas queue is found so late at most
LOOK_S: Final = 5.0
ATTEMPTS_TOTAL: Final = prometheus_client.Counter(
    "dfip_webhook_attempts_total", "Attempts to deliver to webhooks, by their outcome.", ["outcome"]
)
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that is ours until its lease ends."""

    id: str
    webhook_id: str
    event_sequence: int | None
    event_type: str
    created_at: datetime
    attempt: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What to post, and where."""

    receiver: Receiver
    keys: Sequence[Secret]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    claim: Claim
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    claim: Claim
    status: int | None
    verdict: Verdict


class Courier:
    """Sends deliveries; ``run`` is its root task.

    Args:
        database: Where deliveries stand.
        seals: Opens addresses and secrets.
        sender: Posts.
        changed: Tells that something may be due.
        clock: Says what is due.
        rng: Draws the jitter.
    """

    def __init__(
        self,
        *,
        database: Database,
        seals: WebhookSeals,
        sender: Sender,
        changed: Broadcast,
        clock: Clock,
        rng: random.Random | None = None,
    ) -> None:
        self._database = database
        self._seals = seals
        self._sender = sender
        self._changed = changed
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._flights: dict[asyncio.Task[None], str] = {}
        self._results: list[_Result] = []

    async def run(self) -> None:
        """Send for ever; what is on its way is cut off with it and sent again later."""
        try:
            while True:
                changed = self._changed.next()
                wait_s = await self.turn()
                await wait_at_most(self._clock, changed, wait_s)
        except asyncio.CancelledError:
            for flight in self._flights:
                flight.cancel()
            await asyncio.gather(*self._flights, return_exceptions=True)
            raise

    async def turn(self) -> float:
        """Record what has come back, send what is due; return how long nothing else is."""
        due, wait_s = await self._look(self._clock.now())
        # judged once: a transaction may be done again
        outcomes = [self._judged(result) for result in self._results]
        if due or outcomes:
            claims = await self._database.transact(lambda tx: _settle(tx, outcomes, due))
            # what came back meanwhile is recorded in the next turn
            del self._results[: len(outcomes)]
            for outcome in outcomes:
                reason = outcome.verdict.failure_reason or outcome.verdict.state
                ATTEMPTS_TOTAL.labels(outcome=reason).inc()
            for claim in claims:
                flight = asyncio.create_task(self._deliver(claim), name="webhook-delivery")
                self._flights[flight] = claim.webhook_id
                flight.add_done_callback(self._landed)
        return 0.0 if self._results else wait_s

    async def _look(self, now: datetime) -> tuple[dict[str, int], float]:
        """Return the free places of webhooks that have something due, and when to look again."""
        earliest = (
            select(WebhookDeliveryRow.due_at)
            .where(
                WebhookDeliveryRow.webhook_id == WebhookRow.id,
                WebhookDeliveryRow.state == model.PENDING,
            )
            .order_by(WebhookDeliveryRow.due_at)
            .limit(1)
            .scalar_subquery()
        )
        query = select(WebhookRow.id, WebhookRow.rests_until, earliest).where(WebhookRow.enabled)
        async with self._database.read() as session:
            found = (await session.execute(query)).all()
        busy = Counter(self._flights.values())
        due: dict[str, int] = {}
        wait_s = LOOK_S
        for webhook_id, rests_until, due_at in found:
            free = model.AT_ONCE - busy[webhook_id]
            if due_at is None or free <= 0:
                continue  # a flight that lands looks again
            begins = max(due_at, rests_until or due_at)
            if begins <= now:
                due[webhook_id] = free
            else:
                wait_s = min(wait_s, (begins - now) / timedelta(seconds=1))
        return due, wait_s

    def _judged(self, result: _Result) -> _Outcome:
        claim, attempt = result.claim, result.attempt
        verdict = judge(attempt, failures=claim.failures, rng=self._rng)
        return _Outcome(claim=claim, status=attempt.status, verdict=verdict)

    async def _deliver(self, claim: Claim) -> None:
        try:
            attempt = await self._attempt(claim)
        except (DatabaseUnavailable, DatabaseBusy, KeyRingStale):
            return  # nothing was sent; the lease ends, and it is tried again
        except Exception as error:  # noqa: BLE001 - a task's root: a defect must not try for ever
            _log.error("webhooks.attempt_failed", delivery_id=claim.id, exc_info=error)
            attempt = Attempt(failure="internal")
        if attempt is not None:
            self._results.append(_Result(claim=claim, attempt=attempt))

    async def _attempt(self, claim: Claim) -> Attempt | None:
        letter = await self._letter(claim)
        if letter is None or isinstance(letter, Attempt):
            return letter
        headers = signed_headers(
            letter.keys, message_id=claim.id, at=self._clock.now(), body=letter.body
        )
        return await self._sender.post(letter.receiver, headers, letter.body)

    async def _letter(self, claim: Claim) -> Letter | Attempt | None:
        """Return what to post, how that fails, or None where the webhook is gone."""
        now = self._clock.now()
        async with self._database.read() as session:
            webhook = await session.get(WebhookRow, claim.webhook_id)
            if webhook is None or not webhook.enabled:
                return None
            try:
                receiver = parse_receiver(self._seals.url(webhook).reveal())
                keys = [self._seals.secret(webhook)]
                if webhook.old_secret_until is not None and webhook.old_secret_until > now:
                    old = self._seals.old_secret(webhook)
                    keys += [old] if old is not None else []
            except (VaultError, InvalidArgument):
                _log.error("webhooks.unreadable", webhook_id=claim.webhook_id)
                return Attempt(failure="unreadable")
            feed_id = str((await session.scalars(select(FeedRow.feed_id))).one())
            if claim.event_sequence is None:
                body = make_test_body(
                    feed_id=feed_id,
                    delivery_id=claim.id,
                    webhook_id=claim.webhook_id,
                    at=claim.created_at,
                )
                return Letter(receiver=receiver, keys=keys, body=body)
            found = await events_again(session, feed_id, [claim.event_sequence])
        if not found.events:
            return Attempt(failure="compacted", final=True)
        (event,) = found.events
        body = event_body(
            feed_id=feed_id,
            sequence=event.sequence,
            event_type=event.type,
            subject=_subject(event),
            at=event.created_at,
            data=event_object(event_message(event)),
        )
        return Letter(receiver=receiver, keys=keys, body=body)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        del self._flights[flight]
        self._changed.notify()


async def _settle(
    tx: Transaction, outcomes: Sequence[_Outcome], due: dict[str, int]
) -> list[Claim]:
    """Record outcomes and claim what is due; webhooks first, as everybody locks them."""
    for webhook_id in sorted({outcome.claim.webhook_id for outcome in outcomes}):
        verdicts = [o.verdict for o in outcomes if o.claim.webhook_id == webhook_id]
        if any(verdict.disables or verdict.rest_s for verdict in verdicts):
            await _tell_webhook(tx, webhook_id, verdicts)
    for outcome in sorted(outcomes, key=lambda outcome: outcome.claim.id):
        await _record(tx, outcome)
    return [claim for one, free in sorted(due.items()) for claim in await _claim(tx, one, free)]


async def _tell_webhook(tx: Transaction, webhook_id: str, verdicts: Sequence[Verdict]) -> None:
    query = select(WebhookRow).where(WebhookRow.id == webhook_id).with_for_update()
    row = await tx.session.scalar(query)
    if row is None:
        return
    rest_s = max(verdict.rest_s for verdict in verdicts)
    if rest_s:
        until = tx.now + timedelta(seconds=rest_s)
        row.rests_until = max(until, row.rests_until or until)
    if any(verdict.disables for verdict in verdicts) and row.enabled:
        row.enabled, row.disabled_reason = False, model.DISABLED_AS_GONE
        row.generation += 1
        row.updated_at = tx.now
        _log.warning("webhooks.disabled", webhook_id=webhook_id, reason="gone")


async def _record(tx: Transaction, outcome: _Outcome) -> None:
    claim, verdict = outcome.claim, outcome.verdict
    over = verdict.state != model.PENDING
    await tx.session.execute(
        update(WebhookDeliveryRow)
        .where(
            WebhookDeliveryRow.id == claim.id,
            # else the lease has ended, and somebody else tries or has tried
            WebhookDeliveryRow.attempts == claim.attempt,
            WebhookDeliveryRow.state == model.PENDING,
        )
        .values(
            state=verdict.state,
            failures=claim.failures + (verdict.state != model.DELIVERED),
            last_status=outcome.status,
            failure_reason=verdict.failure_reason,
            due_at=None if over else tx.now + timedelta(seconds=verdict.wait_s),
            finished_at=tx.now if over else None,
        )
        .execution_options(synchronize_session=False)
    )


async def _claim(tx: Transaction, webhook_id: str, free: int) -> list[Claim]:
    query = (
        select(WebhookDeliveryRow)
        .where(
            WebhookDeliveryRow.webhook_id == webhook_id,
            WebhookDeliveryRow.state == model.PENDING,
            WebhookDeliveryRow.due_at <= tx.now,
        )
        .order_by(WebhookDeliveryRow.due_at)
        .limit(free)
        .with_for_update(skip_locked=True)
    )
    rows = (await tx.session.scalars(query)).all()
    for row in rows:
        row.attempts += 1
        row.due_at = tx.now + LEASE
    await tx.session.flush()
    return [
        Claim(
            id=row.id,
            webhook_id=row.webhook_id,
            event_sequence=row.event_sequence,
            event_type=row.event_type,
            created_at=row.created_at,
            attempt=row.attempts,
            failures=row.failures,
        )
        for row in rows
    ]


def _subject(event: FeedEvent) -> str:
    alert: Mapping[str, Any] = event.payload.get("alert") or {}
    if alert.get("id"):
        return f"alerts/{alert['id']}"
    if event.sighting_id is not None:
        return f"sightings/{event.sighting_id}"
    if event.person_id is not None:
        return f"persons/{event.person_id}"
    return f"cameras/{event.camera_id}" if event.camera_id is not None else ""
