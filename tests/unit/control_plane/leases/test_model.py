"""The rule of leases, as a table."""

from datetime import UTC, datetime, timedelta

import pytest

from control_plane.leases.model import CLOCKS_DIFFER, LONGEST, Lease, acquired, released, renewed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEN_S = timedelta(seconds=10)
HELD = Lease(holder="a", term=4, expires_at=NOW + TEN_S)


@pytest.mark.parametrize(
    ("lease", "holder", "after", "term"),
    [
        (None, "a", timedelta(), 1),
        (HELD, "a", timedelta(), 5),
        (HELD, "b", timedelta(), None),
        (HELD, "b", TEN_S, None),  # clocks of replicas differ
        (HELD, "b", TEN_S + CLOCKS_DIFFER, 5),
        (HELD, "b", timedelta(days=1), 5),
        # the clock was set back: an end beyond the longest lease is nobody's word
        (HELD, "b", -LONGEST, 5),
    ],
)
def test_who_may_take_it(
    lease: Lease | None, holder: str, after: timedelta, term: int | None
) -> None:
    now = NOW + after
    taken = acquired(lease, holder=holder, now=now, lasts=TEN_S)
    if term is None:
        assert taken is None
    else:
        assert taken == Lease(holder=holder, term=term, expires_at=now + TEN_S)


def test_a_lease_is_renewed_in_its_term_even_when_it_is_over() -> None:
    late = NOW + timedelta(minutes=1)
    assert renewed(HELD, term=4, now=late, lasts=TEN_S) == Lease(
        holder="a", term=4, expires_at=late + TEN_S
    )
    assert renewed(HELD, term=3, now=NOW, lasts=TEN_S) is None
    assert renewed(None, term=1, now=NOW, lasts=TEN_S) is None


def test_a_released_lease_is_free_and_its_term_does_not_come_again() -> None:
    free = released(HELD, term=4, now=NOW)
    assert free is not None
    taken = acquired(free, holder="b", now=NOW, lasts=TEN_S)
    assert taken is not None
    assert taken.term == 5
    assert released(HELD, term=3, now=NOW) is None
