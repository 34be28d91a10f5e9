"""What alerts know of one person becomes another's, when two records turn out to be one person.

Who judges reads all of this anew for each batch of events, so it goes on with the person who stays;
other replicas hear of changed rules through the feed. What webhooks were told stays as it was.
"""

from sqlalchemy import select, update

from control_plane.alerts.judging import subject_of_person
from control_plane.alerts.rules import give_rules
from control_plane.alerts.tables import AlertRow, AlertStandingRow
from control_plane.alerts.watch_lists import give_memberships
from control_plane.database import Transaction


async def merge_person(tx: Transaction, *, gone: str, into: str) -> None:
    """Let the rules, memberships, alerts and cooldowns of ``gone`` be ``into``'s.

    The caller holds the cursor of judging and both people. What was raised of both counts by the
    later one, so that a cooldown which runs for either goes on.
    """
    await give_rules(tx, gone=gone, into=into)
    await give_memberships(tx, gone=gone, into=into)
    await tx.session.execute(
        update(AlertRow)
        .where(AlertRow.person_id == gone)
        .values(person_id=into)
        .execution_options(synchronize_session=False)
    )
    await _give_standings(tx, gone=gone, into=into)


async def _give_standings(tx: Transaction, *, gone: str, into: str) -> None:
    query = (
        select(AlertStandingRow)
        .where(AlertStandingRow.person_id.in_([gone, into]))
        .order_by(AlertStandingRow.rule_id, AlertStandingRow.subject)
        .with_for_update()
    )
    rows = (await tx.session.scalars(query)).all()
    kept = {(row.rule_id, row.subject): row for row in rows if row.person_id == into}
    for row in rows:
        if row.person_id != gone:
            continue
        subject = subject_of_person(row.camera_id, into)
        twin = kept.get((row.rule_id, subject))
        if twin is None:
            row.subject, row.person_id = subject, into
            continue
        raised = [one for one in (twin.raised_at, row.raised_at) if one is not None]
        twin.raised_at = max(raised, default=None)
        twin.updated_at = max(twin.updated_at, row.updated_at)
        await tx.session.delete(row)
    await tx.session.flush()
