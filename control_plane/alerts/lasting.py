"""States that last: what the timer looks at, and how long a state is known to have lasted.

A camera whose worker falls silent and a crowd that nobody counts any more make no event, so the
timer asks the tables how things are. The facts that it makes of them are judged like all others.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.alerts.facts import Counted, Fact, HealthTold, moment_of
from control_plane.alerts.judging import Standing
from control_plane.alerts.model import OCCUPANCY_OVER, Rule
from control_plane.alerts.tables import AlertStandingRow
from control_plane.cameras.mapping import health_of
from control_plane.cameras.tables import CameraRow
from control_plane.database import Transaction
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.telemetry.model import microseconds
from control_plane.telemetry.tables import TelemetrySampleRow


async def health_now(tx: Transaction) -> list[Fact]:
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


async def lasting_counts(tx: Transaction, rules: Iterable[Rule]) -> list[Fact]:
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


async def last_count(
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
