"""The waits of a camera that cannot be read."""

import random

from hypothesis import given
from hypothesis import strategies as st

from vision_worker.watching.source_backoff import HEALTHY_AFTER_S, SourceBackoff

PASSING = st.sampled_from(["stalled", "refused", "timeout", "ended"])


@given(reasons=st.lists(PASSING, min_size=1, max_size=40), seed=st.integers())
def test_passing_failures_wait_five_minutes_at_most(reasons: list[str], seed: int) -> None:
    backoff = SourceBackoff(rng=random.Random(seed))
    waits = [backoff.failed(reason, healthy_s=0) for reason in reasons]
    assert waits[0] <= 1
    assert max(waits) <= 300


def test_a_wrong_password_is_not_knocked_at_for_ever() -> None:
    backoff = SourceBackoff(rng=random.Random(1))
    waits = [backoff.failed("unauthorized", healthy_s=0) for _ in range(40)]
    assert 300 < max(waits) <= 1800


def test_ten_minutes_of_health_forget_the_past() -> None:
    backoff = SourceBackoff(rng=random.Random(1))
    for _ in range(20):
        backoff.failed("stalled", healthy_s=0)
    assert backoff.failed("stalled", healthy_s=HEALTHY_AFTER_S - 1) >= 0
    assert backoff.failures == 21
    assert backoff.failed("stalled", healthy_s=HEALTHY_AFTER_S) <= 1
