"""The days of telemetry, each a partition where the database has partitions.

A sample may be a week old and its day is never dropped before, so a day that was seen once need not
be looked for again.
"""

from datetime import datetime, timedelta
from typing import Final

from control_plane.database import Database
from control_plane.days import Days, day_of
from control_plane.tables import Base
from control_plane.telemetry.model import OLDEST, SECOND_US
from control_plane.telemetry.tables import TelemetrySampleRow

DAY_US: Final = 24 * 3600 * SECOND_US
# clocks of several control planes differ by less than the day on top
KEPT: Final = OLDEST + timedelta(days=1)
SAMPLES: Final = Base.metadata.tables[TelemetrySampleRow.__tablename__]


def telemetry_days(database: Database) -> Days:
    """Return which days of telemetry have a partition."""
    return Days(database, SAMPLES, lambda day: str(day * DAY_US))


async def drop_before(database: Database, days: Days, before: datetime, *, now: datetime) -> int:
    """Drop the days that lie before a moment as a whole; return how many went."""
    names = await days.before(day_of(min(before, now - KEPT)))
    return await database.drop_partitions(SAMPLES, names)
