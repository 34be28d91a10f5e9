"""Making one person's sightings another's, when two records turn out to be one person."""

from sqlalchemy import ColumnElement, and_, delete, exists, or_, update
from sqlalchemy.orm import aliased

from control_plane.database import Transaction
from control_plane.sightings.tables import SightingCandidateRow, SightingLabelRow, SightingRow


async def merge_person(tx: Transaction, *, gone: str, into: str) -> None:
    """Let every sighting, candidate and label of ``gone`` be ``into``'s.

    A sighting names each candidate once, so that of the two the one with the better rank stays;
    what was said of ``into`` outweighs what was said of ``gone``.
    """
    await tx.session.execute(
        update(SightingRow)
        .where(SightingRow.person_id == gone)
        .values(person_id=into)
        .execution_options(synchronize_session=False)
    )
    await _delete(tx, SightingCandidateRow, _worse_of_two(gone, into))
    await _delete(tx, SightingLabelRow, _said_of_both(gone, into))
    for table in (SightingCandidateRow, SightingLabelRow):
        await tx.session.execute(
            update(table)
            .where(table.person_id == gone)
            .values(person_id=into)
            .execution_options(synchronize_session=False)
        )


def _worse_of_two(gone: str, into: str) -> ColumnElement[bool]:
    other = aliased(SightingCandidateRow)
    better = exists().where(
        other.sighting_id == SightingCandidateRow.sighting_id,
        other.rank < SightingCandidateRow.rank,
        or_(
            and_(other.person_id == gone, SightingCandidateRow.person_id == into),
            and_(other.person_id == into, SightingCandidateRow.person_id == gone),
        ),
    )
    return SightingCandidateRow.person_id.in_([gone, into]) & better


def _said_of_both(gone: str, into: str) -> ColumnElement[bool]:
    other = aliased(SightingLabelRow)
    both = exists().where(
        other.sighting_id == SightingLabelRow.sighting_id, other.person_id == into
    )
    return (SightingLabelRow.person_id == gone) & both


async def _delete(
    tx: Transaction,
    table: type[SightingCandidateRow] | type[SightingLabelRow],
    which: ColumnElement[bool],
) -> None:
    statement = delete(table).where(which)
    await tx.session.execute(statement.execution_options(synchronize_session=False))
