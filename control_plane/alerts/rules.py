"""Rules in the database: making, changing, removing and listing them.

Each change says so in the feed, to the control plane alone: that wakes whoever judges, and tells
every replica which counts of people to look at (``occupancy.py``).
"""

import hashlib
import json
from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts import model
from control_plane.alerts.model import Condition, Rule, RuleChange
from control_plane.alerts.tables import AlertRuleRow, AlertStandingRow, WatchListRow
from control_plane.cameras.tables import CameraRow
from control_plane.database import Database, Transaction
from control_plane.events.types import ALERT_RULES_CHANGED
from control_plane.people import store as people
from control_plane.people.model import fold, person_not_found, sort_key
from control_plane.runtime.store import camera_not_found
from service_runtime.identifiers import new_id

NameKey = tuple[str, str]


class RuleStore:
    """Keeps rules; each method that changes something is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        *,
        name: str,
        description: str,
        kind: str,
        severity: str,
        enabled: bool,
        condition: Condition,
        cooldown_s: int,
        request_id: str,
        request_digest: str,
    ) -> Rule:
        """Make a rule, or find the one that the same request made before.

        Raises:
            NotFound: The person, the watch list or a camera is not there.
            AlreadyExists: ``REQUEST_ID_REUSED``.
            ResourceExhausted: There are as many rules as there can be.
        """

        async def make(tx: Transaction) -> Rule:
            if request_id:
                query = select(AlertRuleRow).where(AlertRuleRow.request_id == request_id)
                earlier = await tx.session.scalar(query)
                if earlier is not None:
                    if earlier.request_digest != request_digest:
                        raise model.request_id_reused("rule")
                    tx.audit_object("alert_rule", earlier.id)
                    return rule_of(earlier)
            await _require_named(tx, condition, frozenset(condition.camera_ids))
            count = await tx.session.scalar(select(func.count()).select_from(AlertRuleRow))
            if (count or 0) >= model.MOST_RULES:
                raise model.too_many("rule", model.MOST_RULES)
            row = AlertRuleRow(
                id=new_id(),
                name=name,
                sort_key=sort_key(fold(name)),
                description=description,
                kind=kind,
                severity=severity,
                enabled=enabled,
                person_id=condition.person_id,
                watch_list_id=condition.watch_list_id,
                condition=condition.to_json(),
                cooldown_s=cooldown_s,
                active_since=tx.now,
                version=1,
                request_id=request_id or None,
                request_digest=request_digest if request_id else None,
                created_at=tx.now,
                updated_at=tx.now,
            )
            tx.audit_object("alert_rule", row.id)
            tx.session.add(row)
            await _announce(tx)
            return rule_of(row)

        return await self._database.transact(make)

    async def get(self, rule_id: str) -> Rule:
        """Return a rule.

        Raises:
            NotFound: ``RULE_NOT_FOUND``.
        """
        async with self._database.read() as session:
            row = await session.get(AlertRuleRow, rule_id)
            if row is None:
                raise model.rule_not_found(rule_id)
            return rule_of(row)

    async def page(self, *, after: NameKey | None, limit: int) -> list[tuple[NameKey, Rule]]:
        """Return rules by name, each with the key that the next page starts after."""
        query = select(AlertRuleRow).order_by(AlertRuleRow.sort_key, AlertRuleRow.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(AlertRuleRow.sort_key, AlertRuleRow.id) > after)
        async with self._database.read() as session:
            rows = await session.scalars(query)
            return [((row.sort_key, row.id), rule_of(row)) for row in rows]

    async def update(self, rule_id: str, change: RuleChange) -> Rule:
        """Change what the change names; a change that changes nothing leaves no trace.

        What a rule remembers of its subjects ends where its condition changes or it is enabled.

        Raises:
            NotFound: The rule, the person, the watch list or a camera is not there.
            Aborted: ``ETAG_MISMATCH``.
            InvalidArgument: The condition is none for the rule's kind.
        """

        async def change_it(tx: Transaction) -> Rule:
            row = await _locked(tx.session, rule_id)
            if change.etag and change.etag != rule_of(row).etag:
                raise model.etag_mismatch("rule")
            before = rule_of(row)
            if change.condition is not None and change.condition != before.condition:
                condition = model.check_condition(row.kind, change.condition)
                # cameras that went meanwhile may stay in the list
                new = frozenset(condition.camera_ids) - frozenset(before.condition.camera_ids)
                await _require_named(tx, condition, new)
                row.person_id = condition.person_id
                row.watch_list_id = condition.watch_list_id
                row.condition = condition.to_json()
            for key in ("name", "description", "severity", "enabled", "cooldown_s"):
                value = getattr(change, key)
                if value is not None and value != getattr(row, key):
                    setattr(row, key, value)
            if not tx.session.is_modified(row):
                return before
            row.sort_key = sort_key(fold(row.name))
            row.version += 1
            row.updated_at = tx.now
            after = rule_of(row)
            if after.condition != before.condition or after.enabled != before.enabled:
                row.active_since = tx.now
                await forget_standings(tx, [rule_id])
            await _announce(tx)
            return rule_of(row)

        return await self._database.transact(change_it)

    async def delete(self, rule_id: str) -> None:
        """Remove a rule; its alerts stay.

        Raises:
            NotFound: ``RULE_NOT_FOUND``.
        """

        async def remove(tx: Transaction) -> None:
            await tx.session.delete(await _locked(tx.session, rule_id))
            await forget_standings(tx, [rule_id])
            await _announce(tx)

        await self._database.transact(remove)


async def enabled_rules(session: AsyncSession) -> list[Rule]:
    """Return the rules that may raise alerts."""
    query = select(AlertRuleRow).where(AlertRuleRow.enabled).order_by(AlertRuleRow.id)
    return [rule_of(row) for row in await session.scalars(query)]


async def forget_standings(tx: Transaction, rule_ids: Collection[str]) -> None:
    """Forget what rules remember of their subjects."""
    await tx.session.execute(delete(AlertStandingRow).where(AlertStandingRow.rule_id.in_(rule_ids)))


async def forget_rules_of_person(tx: Transaction, person_id: str) -> int:
    """Remove the rules about a person alone: their names may well be the person's."""
    query = select(AlertRuleRow).where(AlertRuleRow.person_id == person_id).with_for_update()
    rows = (await tx.session.scalars(query.order_by(AlertRuleRow.id))).all()
    for row in rows:
        await tx.session.delete(row)
    if rows:
        await forget_standings(tx, [row.id for row in rows])
        await _announce(tx)
    return len(rows)


async def give_rules(tx: Transaction, *, gone: str, into: str) -> None:
    """Let rules about a person be about another one, and remember what they remembered."""
    query = select(AlertRuleRow).where(AlertRuleRow.person_id == gone).with_for_update()
    rows = (await tx.session.scalars(query.order_by(AlertRuleRow.id))).all()
    for row in rows:
        row.person_id = into
        row.version += 1
        row.updated_at = tx.now
    if rows:
        await _announce(tx)


async def take_camera_from_rules(tx: Transaction, camera_id: str) -> None:
    """Take a camera that goes out of the rules that name it.

    A rule of that camera alone is disabled instead: without cameras it would hold at all of them.
    """
    query = select(AlertRuleRow).order_by(AlertRuleRow.id).with_for_update()
    changed = False
    for row in await tx.session.scalars(query):
        camera_ids = row.condition["camera_ids"]
        if camera_id not in camera_ids:
            continue
        changed = True
        left = [one for one in camera_ids if one != camera_id]
        if left:
            row.condition = row.condition | {"camera_ids": left}
        else:
            row.enabled = False
        row.version += 1
        row.updated_at = tx.now
    if changed:
        await _announce(tx)


def rule_of(row: AlertRuleRow) -> Rule:
    """Return the rule of a row."""
    return Rule(
        id=row.id,
        name=row.name,
        description=row.description,
        kind=row.kind,
        severity=row.severity,
        enabled=row.enabled,
        condition=Condition.from_json(
            row.condition, person_id=row.person_id, watch_list_id=row.watch_list_id
        ),
        cooldown_s=row.cooldown_s,
        active_since=row.active_since,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
    )


def digest_of(*values: object) -> str:
    """Return what tells a repeated request from another one under the same id."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


async def _locked(session: AsyncSession, rule_id: str) -> AlertRuleRow:
    row = await session.get(AlertRuleRow, rule_id, with_for_update=True)
    if row is None:
        raise model.rule_not_found(rule_id)
    return row


async def _require_named(
    tx: Transaction, condition: Condition, camera_ids: Collection[str]
) -> None:
    """Check that what a condition names is there, and stays there until the commit."""
    if camera_ids:
        cameras = (
            select(CameraRow.id)
            .where(CameraRow.id.in_(camera_ids))
            .order_by(CameraRow.id)
            .with_for_update(read=True, key_share=True)
        )
        missing: Sequence[str] = sorted(set(camera_ids) - set(await tx.session.scalars(cameras)))
        if missing:
            raise camera_not_found(missing[0])
    person_id, watch_list_id = condition.person_id, condition.watch_list_id
    if person_id is not None and not await people.held(tx, [person_id]):
        raise person_not_found(person_id)
    if watch_list_id is not None:
        query = select(WatchListRow.id).where(WatchListRow.id == watch_list_id)
        if await tx.session.scalar(query.with_for_update(read=True, key_share=True)) is None:
            raise model.watch_list_not_found(watch_list_id)


async def _announce(tx: Transaction) -> None:
    await tx.append_event(ALERT_RULES_CHANGED, payload={})
