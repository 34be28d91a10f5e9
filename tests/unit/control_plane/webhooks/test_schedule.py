"""What follows from an attempt, and when."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.webhooks.schedule import (
    ATTEMPTS,
    LONGEST_WAIT_S,
    Attempt,
    Verdict,
    judge,
    retry_after_s,
    wait_after,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def judged(attempt: Attempt, failures: int = 0) -> Verdict:
    return judge(attempt, failures=failures, rng=random.Random(1))


def test_attempts_reach_over_about_a_day() -> None:
    waits = [wait_after(failures) for failures in range(1, ATTEMPTS)]
    assert waits[0] == 5
    assert waits == sorted(waits)
    assert 20 * 3600 < sum(waits) < 28 * 3600


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_two_hundreds_are_delivered(status: int) -> None:
    assert judged(Attempt(status=status)) == Verdict(state="delivered")


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (Attempt(status=301), "redirected"),
        (Attempt(status=404), "status"),
        (Attempt(status=500), "status"),
        (Attempt(status=101), "status"),
        (Attempt(failure="dns"), "dns"),
    ],
)
def test_everything_else_is_tried_again_until_it_is_given_up(attempt: Attempt, reason: str) -> None:
    verdict = judged(attempt)
    assert (verdict.state, verdict.failure_reason) == ("pending", reason)
    assert 4 <= verdict.wait_s <= 6
    assert judged(attempt, ATTEMPTS - 2).state == "pending"
    assert judged(attempt, ATTEMPTS - 1) == Verdict(state="dead", failure_reason=reason)


def test_gone_is_gone() -> None:
    verdict = judged(Attempt(status=410))
    assert verdict == Verdict(state="dead", failure_reason="gone", disables=True)


def test_what_cannot_help_is_not_tried_again() -> None:
    assert judged(Attempt(failure="compacted", final=True)).state == "dead"


def test_a_receiver_gets_the_time_that_it_asks_for_within_bounds() -> None:
    assert judged(Attempt(status=503, retry_after_s=600)).wait_s == 600
    assert judged(Attempt(status=503, retry_after_s=600)).rest_s == 600
    assert judged(Attempt(status=503, retry_after_s=0)).wait_s >= 4
    assert judged(Attempt(status=429, retry_after_s=1e9)).wait_s == LONGEST_WAIT_S
    # one delivery that is refused says nothing about the others
    assert judged(Attempt(status=404, retry_after_s=600)).rest_s == 0


@given(failures=st.integers(0, ATTEMPTS - 2), seed=st.integers())
def test_jitter_stays_within_a_fifth(failures: int, seed: int) -> None:
    verdict = judge(Attempt(failure="refused"), failures=failures, rng=random.Random(seed))
    assert 0.8 <= verdict.wait_s / wait_after(failures + 1) <= 1.2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0), (" 0 ", 0.0), ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0), ("99999999999999", 999999999.0), ("", None),
        ("-5", None), ("soon", None), ("1.5", None), ("²", None), ("Thu, 01 Jan 10000 0:0:0", None),
    ],
)  # fmt: skip
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(value=st.text(max_size=40))
def test_whatever_a_receiver_writes_into_retry_after(value: str) -> None:
    found = retry_after_s(value, NOW)
    assert found is None or found >= 0
