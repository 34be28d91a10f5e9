"""Failures in a row: how long a camera waits, and what makes it wait no more."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camera_manager.cameras import RuntimeRow
from camera_manager.failures import NO_FAILURES, Failures, after_end, recalled, without_wait
from camera_manager.runtimes.port import EndKind, WorkerEnd
from service_runtime.backoff import Backoff

# what is slow here is the machine, at times
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


WALL = datetime(2026, 1, 1, tzinfo=UTC)


def ended(
    failures: Failures, kind: EndKind = EndKind.CRASHED, lived_s: float = 5.0, seed: int = 1
) -> Failures:
    return after_end(
        failures,
        WorkerEnd(kind=kind, lived_s=lived_s),
        generation=4,
        now=100.0,
        wall=WALL,
        backoff=Backoff(initial_s=1.0, cap_s=300.0, rng=random.Random(seed)),
    )


@calmly
@given(st.integers(0, 100), st.integers(0, 2**32))
def test_the_wait_is_jittered_below_a_bound_that_doubles_up_to_five_minutes(
    count: int, seed: int
) -> None:
    after = ended(Failures(count=count), seed=seed)
    assert after.count == count + 1
    assert after.retry_at is not None
    wait = after.retry_at - 100.0
    assert 0 <= wait <= min(300.0, 2.0 ** min(count, 40)) + 1e-9
    assert after.next_retry_at is not None
    assert (after.next_retry_at - WALL).total_seconds() == pytest.approx(wait, abs=1e-5)


def test_the_jitter_is_full() -> None:
    waits = [(ended(Failures(count=20), seed=seed).retry_at or 0) - 100 for seed in range(400)]
    assert min(waits) < 10
    assert max(waits) > 290
    assert 130 < sum(waits) / len(waits) < 170


@pytest.mark.parametrize(("lived_s", "count"), [(599.9, 8), (600.0, 1), (86_400.0, 1)])
def test_ten_minutes_of_life_wipe_the_count(lived_s: float, count: int) -> None:
    assert ended(Failures(count=7), lived_s=lived_s).count == count


@pytest.mark.parametrize("kind", list(EndKind))
def test_every_end_has_a_reason_of_the_contract(kind: EndKind) -> None:
    words = {"ended", "model_unavailable", "crashed", "killed", "out_of_memory", "timeout"}
    assert ended(NO_FAILURES, kind).reason in words


def test_bad_settings_wait_for_other_settings() -> None:
    after = ended(NO_FAILURES, EndKind.BAD_SETTINGS)
    assert (after.hopeless_generation, after.retry_at) == (4, None)


def test_a_refused_token_costs_no_wait_the_first_time() -> None:
    first = ended(NO_FAILURES, EndKind.TOKEN_REFUSED)
    assert first.retry_at == 100.0
    later = [ended(first, EndKind.TOKEN_REFUSED, seed=seed).retry_at for seed in range(20)]
    assert max(at or 0 for at in later) > 101


def test_a_retry_keeps_the_count() -> None:
    after = without_wait(ended(Failures(count=5)))
    assert (after.count, after.retry_at, after.hopeless_generation) == (6, None, None)


@pytest.mark.parametrize(
    ("row", "count", "wait"),
    [
        (RuntimeRow(worker_status="running", error_count=4), 0, None),
        (RuntimeRow(worker_status="stopped", error_count=4), 0, None),
        (RuntimeRow(worker_status="failed", error_count=4), 0, None),
        (RuntimeRow(worker_status="pending", error_count=4), 4, None),
        (RuntimeRow(worker_status="starting", error_count=4), 4, None),
        (RuntimeRow(worker_status="backoff", error_count=4), 4, None),
        (
            RuntimeRow(
                worker_status="backoff", error_count=4, next_retry_at=WALL + timedelta(seconds=9)
            ),
            4,
            9.0,
        ),
        (
            RuntimeRow(
                worker_status="backoff", error_count=4, next_retry_at=WALL - timedelta(seconds=9)
            ),
            4,
            0.0,
        ),
        (
            RuntimeRow(
                worker_status="backoff", error_count=4, next_retry_at=WALL + timedelta(days=9)
            ),
            4,
            300.0,
        ),
    ],
)
def test_a_new_manager_takes_over_the_count_and_a_wait_of_sane_length(
    row: RuntimeRow, count: int, wait: float | None
) -> None:
    taken_over = recalled(row, of_worker=False, now=100.0, wall=WALL)
    assert taken_over.count == count
    assert taken_over.retry_at == (None if wait is None else 100.0 + wait)


@pytest.mark.parametrize(
    ("row", "count"),
    [
        # the manager's words
        (RuntimeRow(worker_status="pending", failure_reason="crashed", error_count=4), 4),
        (RuntimeRow(worker_status="starting", error_count=4), 4),
        # the worker's, of its source
        (RuntimeRow(worker_status="starting", failure_reason="timeout", error_count=4), 0),
        (
            RuntimeRow(
                worker_status="backoff",
                failure_reason="timeout",
                error_count=4,
                next_retry_at=WALL + timedelta(seconds=99),
            ),
            0,
        ),
        (RuntimeRow(worker_status="running"), 0),
    ],
)
def test_the_failures_of_a_source_are_not_those_of_its_worker(row: RuntimeRow, count: int) -> None:
    taken_over = recalled(row, of_worker=True, now=100.0, wall=WALL)
    assert (taken_over.count, taken_over.retry_at) == (count, None)
