"""Hours of the week, over midnight and over changes of clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.alerts.model import days_of
from control_plane.alerts.windows import DAYS, Window, check_time_zone
from service_runtime.errors import InvalidArgument

EVERY_DAY = days_of(())


def window(start: str, end: str, *days: str, zone: str = "UTC") -> Window:
    return Window(
        days=days_of(days),
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        time_zone=zone,
    )


@pytest.mark.parametrize(
    ("shown", "moment", "inside"),
    [
        # the 2nd of January 2026 is a Friday
        (window("08:00", "17:00"), "2026-01-02T08:00", True),
        (window("08:00", "17:00"), "2026-01-02T16:59:59.999999", True),
        (window("08:00", "17:00"), "2026-01-02T17:00", False),
        (window("08:00", "17:00"), "2026-01-02T07:59:59", False),
        (window("08:00", "17:00", "mon", "thu"), "2026-01-02T12:00", False),
        (window("22:00", "06:00", "fri"), "2026-01-02T22:00", True),
        (window("22:00", "06:00", "fri"), "2026-01-03T05:59", True),
        (window("22:00", "06:00", "fri"), "2026-01-03T06:00", False),
        (window("22:00", "06:00", "fri"), "2026-01-03T22:00", False),
        (window("22:00", "06:00", "fri"), "2026-01-02T05:00", False),
        (window("22:00", "06:00", "sun"), "2026-01-05T03:00", True),
        (window("12:00", "12:00", "fri"), "2026-01-02T12:00", True),
        (window("12:00", "12:00", "fri"), "2026-01-03T11:59", True),
        (window("12:00", "12:00", "fri"), "2026-01-02T11:59", False),
        # clocks in Berlin go from 02:00 to 03:00 on the 29th of March: one hour of it is not there
        (window("02:00", "03:00", zone="Europe/Berlin"), "2026-03-28T01:30", True),
        (window("02:00", "03:00", zone="Europe/Berlin"), "2026-03-29T00:59", False),
        (window("02:00", "03:00", zone="Europe/Berlin"), "2026-03-29T01:00", False),
        (window("03:00", "04:00", zone="Europe/Berlin"), "2026-03-29T01:00", True),
        (window("02:00", "03:00", zone="Europe/Berlin"), "2026-03-30T00:30", True),
        # and back from 03:00 to 02:00 on the 25th of October: one hour comes twice
        (window("02:00", "03:00", zone="Europe/Berlin"), "2026-10-25T00:30", True),
        (window("02:00", "03:00", zone="Europe/Berlin"), "2026-10-25T01:30", True),
        (window("02:00", "03:00", zone="Europe/Berlin"), "2026-10-25T02:00", False),
        (window("22:00", "06:00", "sat", zone="Europe/Berlin"), "2026-10-25T04:59", True),
        (window("22:00", "06:00", "sat", zone="Europe/Berlin"), "2026-10-25T05:00", False),
        # a day that begins elsewhere
        (window("00:00", "01:00", "sat", zone="Asia/Kolkata"), "2026-01-02T18:30", True),
        (window("00:00", "01:00", "fri", zone="Asia/Kolkata"), "2026-01-02T18:30", False),
    ],
)
def test_a_moment_in_a_window(shown: Window, moment: str, inside: bool) -> None:
    assert shown.holds(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is inside


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kolkata"]
)


@given(moment=MOMENTS, start=TIMES, end=TIMES, zone=ZONES)
def test_a_window_and_what_is_left_of_the_day_share_every_moment(
    moment: datetime, start: time, end: time, zone: str
) -> None:
    inside = Window(days=EVERY_DAY, start=start, end=end, time_zone=zone).holds(moment)
    rest = Window(days=EVERY_DAY, start=end, end=start, time_zone=zone).holds(moment)
    assert (inside and rest) if start == end else (inside is not rest)


@given(moment=MOMENTS, start=TIMES, end=TIMES, zone=ZONES, days=st.sets(st.integers(0, 6)))
def test_the_days_of_a_week_share_its_windows(
    moment: datetime, start: time, end: time, zone: str, days: set[int]
) -> None:
    def holds(some: frozenset[int]) -> bool:
        return Window(days=some, start=start, end=end, time_zone=zone).holds(moment)

    every, rest = frozenset(range(7)), frozenset(range(7)) - days
    assert holds(every) is (holds(frozenset(days)) or holds(rest))


@given(moment=MOMENTS, zone=ZONES)
def test_a_window_of_a_minute_holds_at_that_minute(moment: datetime, zone: str) -> None:
    local = moment.astimezone(ZoneInfo(zone))
    start = local.time().replace(second=0, microsecond=0)
    end = (datetime.combine(local.date(), start) + timedelta(minutes=1)).time()
    days = frozenset({local.weekday()})
    assert Window(days=days, start=start, end=end, time_zone=zone).holds(moment)


def test_the_first_hour_of_all_is_in_no_window() -> None:
    shown = window("00:00", "00:00", zone="America/New_York")
    assert not shown.holds(datetime.min.replace(tzinfo=UTC))


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "Etc/GMT+3"])
def test_time_zones_that_there_are(name: str) -> None:
    assert check_time_zone(name) == name


@pytest.mark.parametrize(
    "name",
    ["Europe", "Mars/Base", "../../etc/passwd", "/etc/localtime", "", ".", "a\0b", "é", "x" * 64],
)
def test_time_zones_that_there_are_not(name: str) -> None:
    with pytest.raises(InvalidArgument, match="time_zone"):
        check_time_zone(name)


def test_days_have_their_usual_order() -> None:
    assert days_of(("mon", "sun")) == {0, 6}
    assert datetime(2026, 1, 2, tzinfo=UTC).weekday() == DAYS.index("fri")
