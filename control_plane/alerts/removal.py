"""What goes of alerts with a person, with a camera, and with time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, or_, select

from control_plane.alerts.cursor import hold_cursor
from control_plane.alerts.rules import forget_rules_of_person, take_camera_from_rules
from control_plane.alerts.tables import (
    AlertRow,
    AlertRuleRow,
    AlertStandingRow,
    OccupancyLevelRow,
)
from control_plane.alerts.watch_lists import take_person_from_lists
from control_plane.database import Transaction

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedTraces:
    """What went with a person."""

    alerts: int
    rules: int
    watch_lists: int


async def forget_person(
    tx: Transaction, person_id: str, sighting_ids: Sequence[str]
) -> RemovedTraces:
    """Remove what alerts know of a person; the person's row is locked by the caller.

    Alerts about the person go, and those that a sighting raised which is now the person's; so do
    rules about the person alone and memberships of watch lists.

    Args:
        tx: The transaction of the erasure.
        person_id: The person.
        sighting_ids: The sightings that go with the person.
    """
    rules = await forget_rules_of_person(tx, person_id)
    watch_lists = await take_person_from_lists(tx, person_id)
    of_person = AlertStandingRow.person_id == person_id
    await tx.session.execute(delete(AlertStandingRow).where(of_person))
    alerts = 0
    for start in range(0, max(1, len(sighting_ids)), _CHUNK):
        some = sighting_ids[start : start + _CHUNK]
        gone = await tx.session.scalars(
            delete(AlertRow)
            .where(or_(AlertRow.person_id == person_id, AlertRow.sighting_id.in_(some)))
            .returning(AlertRow.id)
            .execution_options(synchronize_session=False)
        )
        alerts += len(gone.all())
    return RemovedTraces(alerts=alerts, rules=rules, watch_lists=watch_lists)


async def remove_camera_alerts(tx: Transaction, camera_id: str) -> None:
    """Remove the alerts of a camera and take it from the rules; its row is locked by the caller."""
    await take_camera_from_rules(tx, camera_id)
    await tx.session.execute(
        delete(AlertStandingRow).where(AlertStandingRow.camera_id == camera_id)
    )
    await tx.session.execute(
        delete(OccupancyLevelRow).where(OccupancyLevelRow.camera_id == camera_id)
    )
    await tx.session.execute(delete(AlertRow).where(AlertRow.camera_id == camera_id))


async def remove_old_alerts(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove up to ``limit`` alerts that were raised before a time; return how many went."""
    old = select(AlertRow.id).where(AlertRow.raised_at < before)
    ids = (await tx.session.scalars(old.order_by(AlertRow.raised_at).limit(limit))).all()
    await tx.session.execute(delete(AlertRow).where(AlertRow.id.in_(ids)))
    return len(ids)


async def forget_old_standings(tx: Transaction, before: datetime) -> None:
    """Forget what no cooldown asks for any more, and what is left of rules that are gone."""
    # nobody judges meanwhile
    await hold_cursor(tx)
    settled = AlertStandingRow.since.is_(None) & (AlertStandingRow.updated_at < before)
    orphaned = AlertStandingRow.rule_id.not_in(select(AlertRuleRow.id))
    await tx.session.execute(
        delete(AlertStandingRow)
        .where(or_(settled, orphaned))
        .execution_options(synchronize_session=False)
    )
