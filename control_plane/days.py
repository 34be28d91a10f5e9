"""A table's partitions, one for each day (UTC), where the database has partitions.

They are made two days ahead by the task that also removes old ones (``control_plane.retention``),
and when a row needs one that is not there. What days hold, and when one may go, is their topic's
to say: ``telemetry/days.py``, ``sightings/days.py``.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Table

from control_plane.database import Database
from control_plane.engines.partitions import BEFORE
from control_plane.engines.port import Partition

_AHEAD: Final = 2
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def day_of(moment: datetime) -> int:
    """Return the day of a moment, counted since 1970."""
    return (moment - _EPOCH) // _DAY


def start_of(day: int) -> datetime:
    """Return the moment at which a day starts."""
    return _EPOCH + day * _DAY


class Days:
    """Which days of a table have a partition.

    Args:
        database: Where the table is.
        table: The table.
        literal: Writes the start of a day as SQL, as the table has its moments.
    """

    def __init__(self, database: Database, table: Table, literal: Callable[[int], str]) -> None:
        self._database = database
        self._table = table
        self._literal = literal
        self._present: set[int] = set()

    def partition_of(self, day: int) -> Partition:
        """Return the partition of a day."""
        return Partition(
            name=f"{self._table.name}_{start_of(day):%Y%m%d}",
            start=self._literal(day),
            end=self._literal(day + 1),
        )

    async def require(self, days: Iterable[int]) -> None:
        """Have partitions for these days."""
        missing = sorted(set(days) - self._present)
        if not missing or not self._database.has_partitions:
            return
        wanted = [self.partition_of(day) for day in missing]
        earlier = f"{self._table.name}_{BEFORE}"
        for name in await self._database.partition_names(self._table):
            if name.startswith(earlier):  # one partition has all that lies before a day
                first = f"{self._table.name}_{name.removeprefix(earlier)}"
                wanted = [partition for partition in wanted if partition.name >= first]
        await self._database.add_partitions(self._table, wanted)
        # those of long ago are few and small
        self._present.update(missing)

    def forget(self) -> None:
        """Look anew, because the database may not be what it was."""
        self._present.clear()

    async def prepare(self, now: datetime) -> None:
        """Have partitions for today and the days to come."""
        await self.require(range(day_of(now), day_of(now) + _AHEAD + 1))

    async def before(self, day: int) -> list[str]:
        """Return the names of the partitions of earlier days, oldest first."""
        if not self._database.has_partitions:
            return []
        end = self.partition_of(day).name
        earlier = f"{self._table.name}_{BEFORE}"
        names = await self._database.partition_names(self._table)
        return [name for name in names if name < end and not name.startswith(earlier)]
