"""How far the feed was judged: one row, held by whoever judges.

Who is about to make facts about one person facts about another holds it too, first of all: then
each fact is judged either before that or after it, and none falls between.
"""

from typing import Final

from control_plane.alerts.tables import AlertCursorRow
from control_plane.database import Transaction

CURSOR_ID: Final = 1


async def hold_cursor(tx: Transaction) -> AlertCursorRow:
    """Return the row; nobody else judges before the commit."""
    return await tx.session.get_one(AlertCursorRow, CURSOR_ID, with_for_update=True)
