"""Events of one person become another's, when two records turn out to be one person.

What follows the feed and has not come so far yet (judging, webhooks, watchers) then finds them
with the person who stays. Only events of kinds whose payloads hold no name: the rest says who the
record was that goes, and is emptied (``Transaction.forget_person``). So is what lies further back
than any follower should be.
"""

from typing import Any, Final

from sqlalchemy import or_, select

from control_plane.database import Transaction
from control_plane.events.tables import EventRow

MOST_EVENTS: Final = 5_000
# the beginning of an event's type is also the key of what it tells in the payload
_NAMELESS: Final = ("sighting", "alert")


async def give_events(tx: Transaction, *, gone: str, into: str) -> None:
    """Let the newest events about what ``gone`` did be ``into``'s."""
    of_kind = or_(*(EventRow.type.startswith(f"{kind}.") for kind in _NAMELESS))
    query = select(EventRow).where(EventRow.person_id == gone, of_kind)
    newest = query.order_by(EventRow.sequence.desc()).limit(MOST_EVENTS)
    for row in await tx.session.scalars(newest):
        row.person_id = into
        row.payload = {
            key: _given(value, gone=gone, into=into) if key in _NAMELESS else value
            for key, value in row.payload.items()
        }
    await tx.session.flush()


def _given(told: dict[str, Any], *, gone: str, into: str) -> dict[str, Any]:
    return told | {"person_id": into} if told.get("person_id") == gone else told
