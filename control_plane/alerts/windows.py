"""Hours of the week in which a rule holds, by the clock on the wall of its time zone. Pure.

A window belongs to the day on which it begins: "friday 22:00 to 06:00" covers the small hours of
saturday. Wall clocks are compared, so on a night of a change of clocks a window lasts an hour less
or more, and an hour that comes twice is inside both times.
"""

import zoneinfo
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final

from service_runtime.errors import FieldViolation, InvalidArgument

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hours of the week.

    Attributes:
        days: Days on which it begins, 0 is Monday.
        start: When it begins.
        end: When it is over; on the next day where it is not later than ``start``.
        time_zone: IANA name.
    """

    days: frozenset[int]
    start: time
    end: time
    time_zone: str

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment lies in it."""
        try:
            local = moment.astimezone(zoneinfo.ZoneInfo(self.time_zone))
        except OverflowError:
            return False  # a worker may tell of the first hour of the year 1
        wall, today = local.time(), local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= wall < self.end
        yesterday = (today - 1) % len(DAYS)
        return (today in self.days and wall >= self.start) or (
            yesterday in self.days and wall < self.end
        )


def check_time_zone(name: str) -> str:
    """Return the name of a time zone.

    Raises:
        InvalidArgument: ``TIME_ZONE_UNKNOWN``.
    """
    try:
        # whatever the name is, it is only looked for below the folders of the zone database
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(
            "TIME_ZONE_UNKNOWN",
            "`time_zone` must be the name of a time zone, such as Europe/Berlin or UTC.",
            violations=[
                FieldViolation(
                    field="condition.window.time_zone", description="is no IANA time zone"
                )
            ],
        ) from None
    return name
