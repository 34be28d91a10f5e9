"""The task that judges: events of the feed and the passing of time against the rules.

How far the feed was judged stands in one row, which moves in the transaction that writes the alerts
and is locked by whoever judges. So each fact is judged once, whatever crashes in between, and one
replica at a time judges. States that last are looked at on a timer too, with the same rules
(``judging.py``) and in the same kind of transaction. ``docket.py`` brings together what is needed.

A defect must not stop the task. A rule that fails on a fact is passed over for this fact. Where a
batch of events fails as a whole, ever smaller ones are tried, until the event that fails stands
alone: it is set aside, and judging goes on after it (``quarantine.py``).
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts.cursor import hold_cursor
from control_plane.alerts.docket import Case, Docket, alert_for, docket_for, new_standing
from control_plane.alerts.facts import Fact, Seen, Told, facts_of, types_for
from control_plane.alerts.judging import NOTHING, Standing, judge
from control_plane.alerts.lasting import health_now, last_count, lasting_counts
from control_plane.alerts.model import CAMERA_UNHEALTHY, OCCUPANCY_OVER
from control_plane.alerts.quarantine import Quarantine
from control_plane.alerts.rules import enabled_rules
from control_plane.alerts.store import add_alert
from control_plane.alerts.tables import AlertCursorRow, AlertStandingRow
from control_plane.database import Database, Transaction
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable
from control_plane.events.reading import NEWEST
from control_plane.events.tables import EventRow, FeedRow
from control_plane.pacing import FOLLOW_EVERY_S
from service_runtime.clock import Clock
from service_runtime.structured_logging import get_logger

TICK_S: Final = 5.0
BATCH: Final = 200
_LONGEST_LAG: Final = 1_000
_log = get_logger(__name__)


class AlertJudge:
    """Judges; ``run`` is its root task."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._quarantine = Quarantine()
        # the newest event when nothing was found to judge
        self._found_none_to = -1
        # how many events one transaction takes: fewer for a while after it failed
        self._most = BATCH
        # the event that a transaction of one event is about
        self._alone: int | None = None

    async def run(self) -> None:
        """Judge what happens and what lasts, for ever."""
        tick = asyncio.ensure_future(self._clock.sleep(TICK_S))
        try:
            while True:
                committed = self._database.committed.next()
                if await self.judge_events():
                    continue
                if tick.done():
                    tick = asyncio.ensure_future(self._clock.sleep(TICK_S))
                    await self.judge_time()
                    continue
                await asyncio.sleep(FOLLOW_EVERY_S)
                waiting = asyncio.ensure_future(committed.wait())
                try:
                    await asyncio.wait({waiting, tick}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
        finally:
            tick.cancel()

    async def judge_events(self) -> bool:
        """Judge the next events; return whether there may be more."""
        async with self._database.read() as session:
            query = select(AlertCursorRow.sequence, NEWEST)
            judged_to, newest = (await session.execute(query)).one()
            head = newest or 0
            if head == self._found_none_to:
                return False
            types = types_for(rule.kind for rule in await enabled_rules(session))
            waits = await _next_events(session, types, judged_to, head, limit=1)
        if not waits and head - judged_to < _LONGEST_LAG:
            # a change of rules is an event, too
            self._found_none_to = head
            return False
        try:
            more = await self._database.transact(self._judge_events)
        except (DatabaseUnavailable, DatabaseBusy):
            raise
        except Exception as error:  # noqa: BLE001 - a task's root: one event must not stop all
            if self._most > 1:
                self._most //= 2
            else:
                await self._set_aside(error)
            return True
        self._most = min(BATCH, 2 * self._most)
        return more

    async def judge_time(self) -> None:
        """Judge what lasts, unless events wait that tell more of it."""
        async with self._database.read() as session:
            kinds = {rule.kind for rule in await enabled_rules(session)}
        if not kinds & {CAMERA_UNHEALTHY, OCCUPANCY_OVER}:
            return
        try:
            await self._database.transact(self._judge_time)
        except (DatabaseUnavailable, DatabaseBusy):
            raise
        except Exception as error:  # noqa: BLE001 - a task's root: events are still to be judged
            self._quarantine.timer(error)

    async def _set_aside(self, error: Exception) -> None:
        """Move the cursor past the event that failed alone.

        Raises:
            Exception: The error, where no event is to blame.
        """
        failed = self._alone
        if failed is None:
            raise error

        async def step(tx: Transaction) -> str | None:
            cursor = await hold_cursor(tx)
            row = await tx.session.get(EventRow, failed)
            if row is None or cursor.sequence >= failed:
                return None  # another replica was here meanwhile
            cursor.sequence = failed
            return row.type

        event_type = await self._database.transact(step)
        if event_type is not None:
            self._quarantine.event(failed, event_type, error)

    async def _judge_events(self, tx: Transaction) -> bool:
        cursor = await hold_cursor(tx)
        head = await _head(tx.session)
        compacted = await tx.session.scalar(select(FeedRow.compacted_through)) or 0
        rules = await enabled_rules(tx.session)
        types = types_for(rule.kind for rule in rules)
        if types and cursor.sequence < compacted:
            _log.warning("alerts.events_not_judged", events=compacted - cursor.sequence)
        start = max(cursor.sequence, compacted)
        most = min(BATCH, self._most)
        rows = await _next_events(tx.session, types, start, head, limit=most)
        self._alone = rows[0].sequence if len(rows) == 1 else None
        told = [
            Told(
                type=row.type,
                camera_id=row.camera_id,
                payload=row.payload,
                created_at=row.created_at,
            )
            for row in rows
        ]
        more = len(rows) == most
        cursor.sequence = rows[-1].sequence if more else max(head, cursor.sequence)
        await self._hold_against_rules(tx, [fact for event in told for fact in facts_of(event)])
        return more

    async def _judge_time(self, tx: Transaction) -> None:
        cursor = await hold_cursor(tx)
        rules = await enabled_rules(tx.session)
        types = types_for(rule.kind for rule in rules)
        head = await _head(tx.session)
        if await _next_events(tx.session, types, cursor.sequence, head, limit=1):
            return
        facts: list[Fact] = []
        if any(rule.kind == CAMERA_UNHEALTHY for rule in rules):
            facts += await health_now(tx)
        facts += await lasting_counts(tx, rules)
        await self._hold_against_rules(tx, facts)

    async def _hold_against_rules(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        if not facts:
            return
        docket = await docket_for(tx, facts, self._quarantine)
        for case in docket.cases:
            fact = case.fact
            if isinstance(fact, Seen) and (case.rule.id, fact.sighting_id) in docket.raised:
                continue
            await self._judge_case(tx, docket, case)

    async def _judge_case(self, tx: Transaction, docket: Docket, case: Case) -> None:
        rule, fact = case.rule, case.fact
        key = (rule.id, case.subject)
        row = docket.standings.get(key)
        standing = NOTHING if row is None else _standing(row)
        lasted_until = await last_count(tx, rule, fact, standing)
        try:
            verdict = judge(rule, fact, standing, lasted_until=lasted_until)
            finding = verdict.finding
            alert = None if finding is None else alert_for(tx.now, case, finding, docket)
        except Exception as error:  # noqa: BLE001 - other rules have something to say to the fact
            self._quarantine.rule(rule.id, rule.version, error)
            return
        if verdict.standing != standing:
            if row is None:
                row = docket.standings[key] = new_standing(case)
                tx.session.add(row)
            row.since = verdict.standing.since
            row.is_told = verdict.standing.is_told
            row.raised_at = verdict.standing.raised_at
            row.updated_at = tx.now
        if alert is not None:
            await add_alert(tx, alert)
            if isinstance(fact, Seen):
                docket.raised.add((rule.id, fact.sighting_id))


async def _head(session: AsyncSession) -> int:
    return await session.scalar(select(NEWEST)) or 0


async def _next_events(
    session: AsyncSession, types: Collection[str], after: int, head: int, *, limit: int
) -> Sequence[EventRow]:
    if not types:
        return ()
    query = (
        select(EventRow)
        .where(EventRow.sequence > after, EventRow.sequence <= head, EventRow.type.in_(types))
        .order_by(EventRow.sequence)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


def _standing(row: AlertStandingRow) -> Standing:
    return Standing(since=row.since, is_told=row.is_told, raised_at=row.raised_at)
