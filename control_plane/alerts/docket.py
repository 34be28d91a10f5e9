"""What the database says around facts, brought together and held until the commit.

Locks are taken in this order: the cursor, cameras, people, rules, what is remembered of subjects.
Erasing a person or removing a camera takes its row first as well, so an alert about somebody or
something that goes at the same moment is either not raised or goes too. ``judge.py`` goes through
the cases of a docket.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_

from control_plane.alerts.facts import Counted, Fact, HealthTold, Seen
from control_plane.alerts.judging import Finding, is_about, sentence_of, subject_of
from control_plane.alerts.model import OPEN, WATCH_LIST_SEEN, Alert, Rule
from control_plane.alerts.quarantine import Quarantine
from control_plane.alerts.rules import rule_of
from control_plane.alerts.store import alerts_of_sightings
from control_plane.alerts.tables import AlertRuleRow, AlertStandingRow
from control_plane.alerts.watch_lists import lists_of_people, watch_list_names
from control_plane.alerts.zones import zones_with
from control_plane.cameras.tables import CameraRow
from control_plane.database import Transaction
from control_plane.people import store as people
from service_runtime.identifiers import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fact that a rule is about."""

    rule: Rule
    fact: Fact
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Docket:
    """What the database says around some facts, held until the commit."""

    cameras: dict[str, str]
    watch_lists: dict[str, str]
    cases: Sequence[Case]
    standings: dict[tuple[str, str], AlertStandingRow]
    raised: set[tuple[str, str]]


async def docket_for(tx: Transaction, facts: Sequence[Fact], quarantine: Quarantine) -> Docket:
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
    cases: list[Case] = []
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
        cases += _cases(rules, fact, quarantine)
    seen = {case.fact.sighting_id for case in cases if isinstance(case.fact, Seen)}
    list_ids = {
        case.rule.condition.watch_list_id or ""
        for case in cases
        if case.rule.kind == WATCH_LIST_SEEN
    }
    return Docket(
        cameras={row.id: row.name for row in cameras.values()},
        watch_lists=await watch_list_names(tx.session, list_ids),
        cases=cases,
        standings=await _standings(tx, {(case.rule.id, case.subject) for case in cases}),
        raised=await alerts_of_sightings(tx.session, seen),
    )


def _cases(rules: Sequence[Rule], fact: Fact, quarantine: Quarantine) -> list[Case]:
    cases: list[Case] = []
    for rule in rules:
        try:
            if is_about(rule, fact):
                cases.append(Case(rule=rule, fact=fact, subject=subject_of(rule, fact)))
        except Exception as error:  # noqa: BLE001 - other rules have something to say to the fact
            quarantine.rule(rule.id, rule.version, error)
    return cases


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


def new_standing(case: Case) -> AlertStandingRow:
    """Return a row for what is remembered of a case's subject; the caller fills and adds it."""
    return AlertStandingRow(
        rule_id=case.rule.id,
        subject=case.subject,
        camera_id=case.fact.camera_id,
        person_id=case.fact.person_id if isinstance(case.fact, Seen) else None,
    )


def alert_for(now: datetime, case: Case, finding: Finding, docket: Docket) -> Alert:
    """Return the alert that a case raises."""
    rule, fact = case.rule, case.fact
    camera_name = docket.cameras[fact.camera_id]
    list_name = docket.watch_lists.get(rule.condition.watch_list_id or "", "")
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
