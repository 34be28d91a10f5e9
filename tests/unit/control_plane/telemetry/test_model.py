"""The rules of a sample, and what a query is taken to ask for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.telemetry.model import Sample, flaw_of, microseconds, range_of
from service_runtime.errors import InvalidArgument

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_US = microseconds(NOW)


def sample(**changes: Any) -> Sample:
    return Sample(**({"observed_us": NOW_US, "occupancy": 5, "confidence": 0.95} | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"observed_us": microseconds(NOW - timedelta(days=7))},
        {"observed_us": microseconds(NOW + timedelta(minutes=5))},
        {"occupancy": 0},
        {"occupancy": 1_000_000, "entries": 1_000_000, "exits": 1_000_000},
        {"confidence": None},
        {"confidence": 0.0},
        {"confidence": 1.0},
        {"zone": "Kasse 2, außen"},
    ],
)
def test_a_good_sample_has_no_flaw(changes: dict[str, Any]) -> None:
    assert flaw_of(sample(**changes), now_us=NOW_US) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"observed_us": microseconds(NOW - timedelta(days=7)) - 1}, "TIMESTAMP_TOO_OLD"),
        ({"observed_us": microseconds(NOW + timedelta(minutes=5)) + 1}, "TIMESTAMP_AHEAD"),
        ({"occupancy": 1_000_001}, "COUNT_OUT_OF_RANGE"),
        ({"entries": -1}, "COUNT_OUT_OF_RANGE"),
        ({"exits": 2**32}, "COUNT_OUT_OF_RANGE"),
        ({"confidence": -0.001}, "CONFIDENCE_OUT_OF_RANGE"),
        ({"confidence": 1.001}, "CONFIDENCE_OUT_OF_RANGE"),
        ({"confidence": float("nan")}, "CONFIDENCE_OUT_OF_RANGE"),
        ({"confidence": float("-inf")}, "CONFIDENCE_OUT_OF_RANGE"),
        ({"zone": "x" * 201}, "ZONE_INVALID"),
        ({"zone": "a\x00b"}, "ZONE_INVALID"),
        ({"zone": "a\nb"}, "ZONE_INVALID"),
    ],
)
def test_a_flaw_is_named(changes: dict[str, Any], reason: str) -> None:
    flaw = flaw_of(sample(**changes), now_us=NOW_US)
    assert flaw is not None
    assert flaw.reason == reason
    assert flaw.refusal().violations[0].field == next(iter(changes)).replace(
        "observed_us", "timestamp"
    )


def ask(**changes: Any) -> Any:
    asked: dict[str, Any] = {"zone": "", "since": None, "until": None, "bucket_s": 0, "now": NOW}
    return range_of("c", **(asked | changes))


def test_what_is_left_open_is_the_last_hour_by_minutes() -> None:
    found = ask()
    assert (found.since_us, found.until_us) == (NOW_US - 3_600_000_000, NOW_US)
    assert found.bucket_s == 60


@pytest.mark.parametrize(
    "changes",
    [
        {"since": NOW},
        {"since": NOW + timedelta(seconds=1)},
        {"until": datetime.min.replace(tzinfo=UTC)},
        {"since": datetime.min.replace(tzinfo=UTC)},
        {"since": NOW - timedelta(seconds=5_001), "bucket_s": 1},
        {"zone": "\x00"},
    ],
)
def test_a_range_without_end_or_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        ask(**changes)


def test_a_range_may_span_as_many_buckets_as_it_says() -> None:
    assert ask(since=NOW - timedelta(seconds=5_000), bucket_s=1).bucket_s == 1


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_lose_nothing(moment: datetime) -> None:
    back = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds(moment))
    assert back == moment
