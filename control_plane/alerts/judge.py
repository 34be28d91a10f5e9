"""The task that judges: events of the feed and the passing of time against the rules.

How far the feed was judged stands in one row, which moves in the transaction that writes the alerts
and is locked by whoever judges. So each fact is judged once, whatever crashes in between, and one
replica at a time judges. States that last are looked at on a timer too, with the same rules
(``judging.py``) and in the same kind of transaction.

Locks are taken in this order: the cursor, cameras, people, rules, what is remembered of subjects.
Erasing a person or removing a camera takes its row first as well, so an alert about somebody or
something that goes at the same moment is either not raised or goes too.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts.cursor import CURSOR_ID, hold_cursor
from control_plane.alerts.facts import (
    Counted,
    Fact,
    HealthTold,
    Seen,
    Told,
    facts_of,
    moment_of,
    types_for,
)
from control_plane.alerts.judging import (
    NOTHING,
    Finding,
    Standing,
    is_about,
    judge,
    sentence_of,
    subject_of,
)
from control_plane.alerts.model import (
    CAMERA_UNHEALTHY,
    OCCUPANCY_OVER,
    OPEN,
    WATCH_LIST_SEEN,
    Alert,
    Rule,
)
from control_plane.alerts.rules import enabled_rules, rule_of
from control_plane.alerts.store import add_alert, alerts_of_sightings
from control_plane.alerts.tables import AlertCursorRow, AlertRuleRow, AlertStandingRow
from control_plane.alerts.watch_lists import lists_of_people, watch_list_names
from control_plane.alerts.zones import zones_with
from control_plane.cameras.mapping import health_of
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.events.tables import EventRow, FeedRow
from control_plane.people import store as people
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.telemetry.model import microseconds
from control_plane.telemetry.tables import TelemetrySampleRow
from service_runtime.clock import Clock
from service_runtime.identifiers import new_id
from service_runtime.structured_logging import get_logger

TICK_S: Final = 5.0
BATCH: Final = 200
_LONGEST_LAG: Final = 1_000
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A fact that a rule is about."""

    rule: Rule
    fact: Fact
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What the database says around some facts, held until the commit."""

    cameras: dict[str, str]
    watch_lists: dict[str, str]
    cases: Sequence[_Case]
    standings: dict[tuple[str, str], AlertStandingRow]
    raised: set[tuple[str, str]]


class AlertJudge:
    """Judges; ``run`` is its root task."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

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
            rules = await enabled_rules(session)
            cursor = await session.get_one(AlertCursorRow, CURSOR_ID)
            head = await _head(session)
            types = types_for(rule.kind for rule in rules)
            waits = await _next_events(session, types, cursor.sequence, head, limit=1)
        if not waits and head - cursor.sequence < _LONGEST_LAG:
            return False
        return await self._database.transact(self._judge_events)

    async def judge_time(self) -> None:
        """Judge what lasts, unless events wait that tell more of it."""
        async with self._database.read() as session:
            kinds = {rule.kind for rule in await enabled_rules(session)}
        if kinds & {CAMERA_UNHEALTHY, OCCUPANCY_OVER}:
            await self._database.transact(self._judge_time)

    async def _judge_events(self, tx: Transaction) -> bool:
        cursor = await hold_cursor(tx)
        head = await _head(tx.session)
        compacted = await tx.session.scalar(select(FeedRow.compacted_through)) or 0
        rules = await enabled_rules(tx.session)
        types = types_for(rule.kind for rule in rules)
        if types and cursor.sequence < compacted:
            _log.warning("alerts.events_not_judged", events=compacted - cursor.sequence)
        start = max(cursor.sequence, compacted)
        rows = await _next_events(tx.session, types, start, head, limit=BATCH)
        told = [
            Told(
                type=row.type,
                camera_id=row.camera_id,
                payload=row.payload,
                created_at=row.created_at,
            )
            for row in rows
        ]
        more = len(rows) == BATCH
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
            facts += await _health(tx)
        facts += await _lasting_counts(tx, rules)
        await self._hold_against_rules(tx, facts)

    async def _hold_against_rules(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        if not facts:
            return
        bench = await _bench(tx, facts)
        for case in bench.cases:
            rule, fact = case.rule, case.fact
            if isinstance(fact, Seen) and (rule.id, fact.sighting_id) in bench.raised:
                continue
            key = (rule.id, case.subject)
            row = bench.standings.get(key)
            standing = NOTHING if row is None else _standing(row)
            verdict = judge(
                rule, fact, standing, lasted_until=await _last_count(tx, rule, fact, standing)
            )
            if verdict.standing != standing:
                if row is None:
                    row = bench.standings[key] = _new_standing(case)
                    tx.session.add(row)
                row.since = verdict.standing.since
                row.is_told = verdict.standing.is_told
                row.raised_at = verdict.standing.raised_at
                row.updated_at = tx.now
            if verdict.finding is not None:
                await add_alert(tx, _alert(tx.now, case, verdict.finding, bench))
                if isinstance(fact, Seen):
                    bench.raised.add((rule.id, fact.sighting_id))


async def _head(session: AsyncSession) -> int:
    return await session.scalar(select(func.max(EventRow.sequence))) or 0


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


async def _bench(tx: Transaction, facts: Sequence[Fact]) -> _Bench:
    """Bring together what is needed to judge facts, each thing locked in its turn."""
    cameras = await _cameras(tx, {fact.camera_id for fact in facts})
    named = {fact.person_id for fact in facts if isinstance(fact, Seen) and fact.person_id}
    present = await people.held(tx, named)
    held = (
        select(AlertRuleRow)
        .where(AlertRuleRow.enabled)
        .order_by(AlertRuleRow.id)
        .with_for_update(read=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    rows = await tx.session.scalars(held)
    rules = [rule_of(row) for row in rows]
    lists = await lists_of_people(tx.session, present)
    cases: list[_Case] = []
    for told in facts:
        fact = told
        camera = cameras.get(fact.camera_id)
        if camera is None:
            continue
        if isinstance(fact, Seen):
            if fact.person_id is not None and fact.person_id not in present:
                continue
            fact = fact.placed(
                zones_with(fact.centre, camera.zone_config),
                lists.get(fact.person_id or "", frozenset()),
            )
        cases += [
            _Case(rule=rule, fact=fact, subject=subject_of(rule, fact))
            for rule in rules
            if is_about(rule, fact)
        ]
    seen = {case.fact.sighting_id for case in cases if isinstance(case.fact, Seen)}
    list_ids = {
        case.rule.condition.watch_list_id or ""
        for case in cases
        if case.rule.kind == WATCH_LIST_SEEN
    }
    return _Bench(
        cameras={row.id: row.name for row in cameras.values()},
        watch_lists=await watch_list_names(tx.session, list_ids),
        cases=cases,
        standings=await _standings(tx, {(case.rule.id, case.subject) for case in cases}),
        raised=await alerts_of_sightings(tx.session, seen),
    )


async def _cameras(tx: Transaction, camera_ids: Collection[str]) -> dict[str, CameraRow]:
    query = (
        select(CameraRow)
        .where(CameraRow.id.in_(camera_ids))
        .order_by(CameraRow.id)
        .with_for_update(read=True, key_share=True)
    )
    return {row.id: row for row in await tx.session.scalars(query)}


async def _standings(
    tx: Transaction, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], AlertStandingRow]:
    if not keys:
        return {}
    query = (
        select(AlertStandingRow)
        .where(tuple_(AlertStandingRow.rule_id, AlertStandingRow.subject).in_(sorted(keys)))
        .order_by(AlertStandingRow.rule_id, AlertStandingRow.subject)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {(row.rule_id, row.subject): row for row in await tx.session.scalars(query)}


async def _health(tx: Transaction) -> list[Fact]:
    """Return how every camera is now: a worker that falls silent makes no event."""
    query = select(CameraRow.id, CameraRow.desired_state, CameraRuntimeRow).join(
        CameraRuntimeRow, CameraRuntimeRow.camera_id == CameraRow.id
    )
    lasting = select(AlertStandingRow.camera_id).where(AlertStandingRow.since.is_not(None))
    awaited = set(await tx.session.scalars(lasting))
    facts: list[Fact] = []
    for camera_id, desired_state, runtime in await tx.session.execute(query):
        health = health_of(runtime, now=tx.now) if desired_state == "running" else ""
        if health not in {"healthy", ""} or camera_id in awaited:
            facts.append(
                HealthTold(camera_id=camera_id, told_at=tx.now, health=health, is_looked_at=True)
            )
    return facts


async def _lasting_counts(tx: Transaction, rules: Iterable[Rule]) -> list[Fact]:
    """Return the newest count wherever a state is waited for that must last."""
    asked = {rule.id: rule for rule in rules if rule.kind == OCCUPANCY_OVER}
    query = select(AlertStandingRow).where(
        AlertStandingRow.rule_id.in_(asked),
        AlertStandingRow.since.is_not(None),
        AlertStandingRow.is_told.is_(False),
    )
    waiting = {
        (row.camera_id, asked[row.rule_id].condition.zone)
        for row in await tx.session.scalars(query)
    }
    facts: list[Fact] = []
    for camera_id, zone in sorted(waiting):
        newest = await _newest_sample(tx.session, camera_id, zone)
        if newest is not None:
            counted_at, counted = newest
            facts.append(
                Counted(
                    camera_id=camera_id,
                    told_at=tx.now,
                    zone=zone,
                    counted_at=counted_at,
                    people=counted,
                    is_late=False,
                )
            )
    return facts


async def _last_count(
    tx: Transaction, rule: Rule, fact: Fact, standing: Standing
) -> datetime | None:
    """Return when people were last counted before a count, where a state may end with it."""
    if not isinstance(fact, Counted) or standing.since is None or standing.is_told:
        return None
    newest = await _newest_sample(
        tx.session, fact.camera_id, rule.condition.zone, before=fact.counted_at
    )
    return None if newest is None else max(newest[0], standing.since)


async def _newest_sample(
    session: AsyncSession, camera_id: str, zone: str, *, before: datetime | None = None
) -> tuple[datetime, int] | None:
    row = TelemetrySampleRow
    query = select(row.observed_us, row.occupancy).where(
        row.camera_id == camera_id, row.zone == zone
    )
    if before is not None:
        query = query.where(row.observed_us < microseconds(before))
    found = (await session.execute(query.order_by(row.observed_us.desc()).limit(1))).first()
    return None if found is None else (moment_of(found.observed_us), found.occupancy)


def _standing(row: AlertStandingRow) -> Standing:
    return Standing(since=row.since, is_told=row.is_told, raised_at=row.raised_at)


def _new_standing(case: _Case) -> AlertStandingRow:
    return AlertStandingRow(
        rule_id=case.rule.id,
        subject=case.subject,
        camera_id=case.fact.camera_id,
        person_id=case.fact.person_id if isinstance(case.fact, Seen) else None,
    )


def _alert(now: datetime, case: _Case, finding: Finding, bench: _Bench) -> Alert:
    rule, fact = case.rule, case.fact
    camera_name = bench.cameras[fact.camera_id]
    list_name = bench.watch_lists.get(rule.condition.watch_list_id or "", "")
    details: dict[str, Any] = {
        "camera_name": camera_name,
        "occurred_at": finding.occurred_at.isoformat(),
    }
    if finding.since is not None:
        details["since"] = finding.since.isoformat()
    if isinstance(fact, Seen):
        details["score"] = fact.score
        if rule.kind == WATCH_LIST_SEEN:
            details["watch_list_id"] = rule.condition.watch_list_id
            details["watch_list_name"] = list_name
    elif isinstance(fact, HealthTold):
        details["health"] = fact.health
    elif isinstance(fact, Counted):
        details["occupancy"] = fact.people
    else:
        details["reason"] = fact.reason
    return Alert(
        id=new_id(),
        rule_id=rule.id,
        rule_name=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        camera_id=fact.camera_id,
        person_id=fact.person_id if isinstance(fact, Seen) else None,
        sighting_id=fact.sighting_id if isinstance(fact, Seen) else None,
        zone=rule.condition.zone,
        state=OPEN,
        raised_at=now,
        message=sentence_of(
            rule, fact, camera_name=camera_name, watch_list_name=list_name, since=finding.since
        ),
        details=details,
    )
