"""The partitions of telemetry: one for each day (UTC), where the database has partitions.

They are made two days ahead by the task that also removes old ones (``control_plane.retention``),
and when a sample needs one that is not there. A sample may be a week old and its day is never
dropped before, so a day that was seen once need not be looked for again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from control_plane.database import Database
from control_plane.engines.port import Partition
from control_plane.tables import Base
from control_plane.telemetry.model import OLDEST, SECOND_US, microseconds
from control_plane.telemetry.tables import TelemetrySampleRow

DAY_US: Final = 24 * 3600 * SECOND_US
# clocks of several control planes differ by less than the day on top
KEPT: Final = OLDEST + timedelta(days=1)
_AHEAD: Final = 2
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_samples: Final = Base.metadata.tables[TelemetrySampleRow.__tablename__]


def partition_of(day: int) -> Partition:
    """Return the partition of a day, counted since 1970."""
    name = f"{_samples.name}_{_EPOCH + timedelta(days=day):%Y%m%d}"
    return Partition(name=name, start=day * DAY_US, end=(day + 1) * DAY_US)


class Days:
    """Which days have a partition."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._present: set[int] = set()

    async def require(self, days: Iterable[int]) -> None:
        """Have partitions for these days, counted since 1970."""
        missing = sorted(set(days) - self._present)
        if missing:
            await self._database.add_partitions(_samples, [partition_of(day) for day in missing])
            # those of long ago are few and small
            self._present.update(missing)

    def forget(self) -> None:
        """Look anew, because the database is not what it was."""
        self._present.clear()

    async def prepare(self, now: datetime) -> None:
        """Have partitions for today and the days to come."""
        today = microseconds(now) // DAY_US
        await self.require(range(today, today + _AHEAD + 1))

    async def drop_before(self, before: datetime, *, now: datetime) -> int:
        """Drop the days that lie before a moment as a whole; return how many went."""
        if not self._database.has_partitions:
            return 0
        last = microseconds(min(before, now - KEPT)) // DAY_US
        present = await self._database.partition_names(_samples)
        names = [name for name in present if name < partition_of(last).name]
        return await self._database.drop_partitions(_samples, names)
