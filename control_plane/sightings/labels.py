"""A person's word on a sighting: who it was, or who it was not.

``plan_label`` is the rule, pure; ``SightingLabels`` writes what it says. A label outweighs the
worker: ``intake.py`` leaves a labelled sighting's decision alone. Rejections are kept for
recognition to learn from, which the label alone would not tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from control_plane.database import Database, Transaction
from control_plane.people import store as people
from control_plane.sightings import model
from control_plane.sightings.mapping import event_payload
from control_plane.sightings.model import CONFIRMED, MATCH, MOVED, REJECTED, UNKNOWN
from control_plane.sightings.store import sighting_of
from control_plane.sightings.tables import SightingLabelRow, SightingRow
from service_runtime.errors import FailedPrecondition, FieldViolation, InvalidArgument

_MOST_LABELS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPlan:
    """What a sighting becomes, and the verdicts on people that it has after, by person."""

    decision: str
    person_id: str | None
    verdicts: Mapping[str, str]


def plan_label(
    label: str,
    *,
    person_id: str | None,
    named: str | None,
    verdicts: Mapping[str, str],
) -> LabelPlan:
    """Return what a label makes of a sighting.

    Args:
        label: ``confirm``, ``reject`` or ``move``.
        person_id: Whom to move it to.
        named: The person that the sighting names now.
        verdicts: What was said of people before.

    Raises:
        InvalidArgument: ``person_id`` is missing, or is there for nothing.
        FailedPrecondition: The sighting names nobody, or too many people were named.
    """
    if (label == "move") != (person_id is not None):
        description = "is needed to move a sighting" if label == "move" else "is for a move alone"
        raise InvalidArgument(
            "REQUEST_INVALID",
            f"person_id {description}.",
            violations=[FieldViolation(field="person_id", description=description)],
        )
    rejected = {one: REJECTED for one, verdict in verdicts.items() if verdict == REJECTED}
    if person_id is not None and person_id != named:
        if named is not None:
            rejected[named] = REJECTED
        return _bounded(MATCH, person_id, rejected | {person_id: MOVED})
    if named is None:
        if label == "reject" and rejected:
            return LabelPlan(decision=UNKNOWN, person_id=None, verdicts=rejected)
        raise FailedPrecondition(
            "SIGHTING_NAMES_NOBODY",
            "This sighting names nobody; move it to the person it is, or let it be.",
        )
    if label == "reject":
        return _bounded(UNKNOWN, None, rejected | {named: REJECTED})
    said = verdicts.get(named, CONFIRMED)
    return _bounded(MATCH, named, rejected | {named: CONFIRMED if said == REJECTED else said})


def _bounded(decision: str, person_id: str | None, verdicts: Mapping[str, str]) -> LabelPlan:
    if len(verdicts) > _MOST_LABELS:
        raise FailedPrecondition(
            "SIGHTING_HAS_MANY_LABELS",
            f"This sighting was said to be {_MOST_LABELS} different people; nobody can tell now.",
        )
    return LabelPlan(decision=decision, person_id=person_id, verdicts=verdicts)


class SightingLabels:
    """Writes labels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def label(
        self, sighting_id: str, label: str, *, person_id: str | None, labelled_by: str
    ) -> None:
        """Label a sighting, with its event.

        Raises:
            NotFound: There is no such sighting, or no such person.
            InvalidArgument: ``person_id`` is missing, or is there for nothing.
            FailedPrecondition: The sighting names nobody.
        """

        async def step(tx: Transaction) -> None:
            await put_label(tx, sighting_id, label, person_id=person_id, labelled_by=labelled_by)

        await self._database.transact(step)


async def put_label(
    tx: Transaction, sighting_id: str, label: str, *, person_id: str | None, labelled_by: str
) -> None:
    """Label a sighting in the caller's transaction; see ``SightingLabels.label``."""
    if person_id is not None:
        await people.require_locked(tx.session, person_id)
    row = await tx.session.get(SightingRow, sighting_id, with_for_update=True)
    if row is None:
        raise model.sighting_not_found(sighting_id)
    before = {one.person_id: one for one in await _rows(tx, sighting_id)}
    plan = plan_label(
        label,
        person_id=person_id,
        named=row.person_id,
        verdicts={one: said.verdict for one, said in before.items()},
    )
    former = row.person_id
    same = {one: said.verdict for one, said in before.items()} == plan.verdicts
    if same and (row.decision, row.person_id) == (plan.decision, plan.person_id):
        return
    for one, said in before.items():
        if one not in plan.verdicts:
            await tx.session.delete(said)
    for one, verdict in plan.verdicts.items():
        if one not in before or before[one].verdict != verdict:
            await tx.session.merge(
                SightingLabelRow(
                    sighting_id=sighting_id,
                    person_id=one,
                    verdict=verdict,
                    labelled_by=labelled_by[:200],
                    labelled_at=tx.now,
                )
            )
    row.decision, row.person_id, row.updated_at = plan.decision, plan.person_id, tx.now
    await tx.session.flush()
    if former is not None and former != plan.person_id:
        await _unsee(tx, former, row.ended_at)
    if plan.person_id is not None:
        await people.mark_seen(tx, plan.person_id, row.ended_at)
    await tx.append_event(
        "sighting.updated",
        camera_id=row.camera_id,
        person_id=row.person_id,
        sighting_id=row.id,
        payload={"sighting": event_payload(sighting_of(row))},
    )


async def _unsee(tx: Transaction, person_id: str, ended_at: datetime) -> None:
    """Set back when somebody was seen last, where this sighting was the last."""
    query = select(func.max(SightingRow.ended_at)).where(
        SightingRow.person_id == person_id, SightingRow.decision == MATCH
    )
    await people.mark_not_seen(tx, person_id, ended_at, earlier=await tx.session.scalar(query))


async def _rows(tx: Transaction, sighting_id: str) -> list[SightingLabelRow]:
    query = select(SightingLabelRow).where(SightingLabelRow.sighting_id == sighting_id)
    return list(await tx.session.scalars(query))
