"""What a change of a worker's state is worth, and what silence means."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from control_plane.runtime.model import (
    FAILURES,
    Observation,
    check_failure_reason,
    current_health,
    events_of_change,
    worked_on,
)
from service_runtime.errors import InvalidArgument

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
JUST_NOW = NOW - timedelta(seconds=5)


def seen(
    worker_status: str, health: str = "unknown", reason: str = "none", errors: int = 0
) -> Observation:
    return Observation(
        worker_status=worker_status,
        health_status=health,
        failure_reason=reason,
        error_count=errors,
    )


RUNNING = seen("running", "healthy")
FAILED = seen("failed", "unhealthy", "crashed")
REFUSED = seen("backoff", "unhealthy", "refused")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (seen("starting"), RUNNING, ["worker.heartbeat", "worker.started"]),
        (RUNNING, RUNNING, []),
        (RUNNING, seen("stopping"), ["worker.heartbeat"]),
        (seen("stopping"), seen("stopped"), ["worker.heartbeat", "worker.stopped"]),
        (RUNNING, FAILED, ["worker.heartbeat", "worker.error"]),
        (RUNNING, REFUSED, ["worker.heartbeat", "worker.error"]),
        (REFUSED, seen("backoff", "unhealthy", "dns"), ["worker.heartbeat", "worker.error"]),
        (REFUSED, RUNNING, ["worker.heartbeat", "worker.started"]),
        (FAILED, FAILED, []),
        # degraded: it runs, and something is wrong
        (
            RUNNING,
            seen("running", "degraded", "accelerator_unavailable"),
            ["worker.heartbeat", "worker.error"],
        ),
    ],
)
def test_events_of_a_change(before: Observation, after: Observation, expected: list[str]) -> None:
    types = events_of_change(before, after, heard=True, announced_at=JUST_NOW, now=NOW)
    assert types == expected


@pytest.mark.parametrize(
    "life",
    [
        # a worker that crashes, with its manager's words
        [
            seen("backoff", "unhealthy", "crashed", 1),
            seen("pending", "unknown", "crashed", 1),
            seen("starting", "unknown", "none", 1),
            seen("starting"),
            RUNNING,
        ],
        # a camera that refuses twice, with its worker's
        [
            seen("starting"),
            seen("backoff", "unhealthy", "refused", 1),
            seen("starting", "unhealthy", "refused", 1),
            seen("backoff", "unhealthy", "refused", 2),
            seen("starting", "unhealthy", "refused", 2),
            RUNNING,
        ],
        # the attempt between two failures was too short to be told
        [
            seen("backoff", "unhealthy", "refused", 1),
            seen("backoff", "unhealthy", "refused", 2),
            seen("backoff", "unhealthy", "refused", 2),
        ],
        # the end of a recording is none
        [seen("stopped", "healthy", "ended")],
    ],
)
def test_each_failure_is_one_error(life: list[Observation]) -> None:
    errors = 0
    for before, after in itertools.pairwise([RUNNING, *life]):
        types = events_of_change(before, after, heard=False, announced_at=JUST_NOW, now=NOW)
        errors += types.count("worker.error")
        if "worker.error" in types:
            assert types[0] == "worker.heartbeat"
    assert errors == max(seen.error_count for seen in life)


@pytest.mark.parametrize(
    ("age_s", "heard", "expected"),
    [(59, True, []), (60, True, ["worker.heartbeat"]), (3600, False, [])],
)
def test_an_unchanged_heartbeat_is_told_once_a_minute(
    age_s: int, heard: bool, expected: list[str]
) -> None:
    announced_at = NOW - timedelta(seconds=age_s)
    types = events_of_change(RUNNING, RUNNING, heard=heard, announced_at=announced_at, now=NOW)
    assert types == expected


@pytest.mark.parametrize(
    ("status", "health", "silent_s", "expected"),
    [
        ("running", "healthy", 30, "healthy"),
        ("running", "healthy", 31, "unknown"),
        ("starting", "degraded", 31, "unknown"),
        ("failed", "unhealthy", 3600, "unhealthy"),
        ("backoff", "unhealthy", 3600, "unhealthy"),
        ("stopped", "healthy", 0, "unknown"),
        ("pending", "healthy", 0, "unknown"),
    ],
)
def test_health_of_a_silent_worker(status: str, health: str, silent_s: int, expected: str) -> None:
    sign = NOW - timedelta(seconds=silent_s)
    assert (
        current_health(worker_status=status, health_status=health, last_sign_at=sign, now=NOW)
        == expected
    )


def test_health_of_a_worker_never_heard() -> None:
    assert (
        current_health(worker_status="running", health_status="healthy", last_sign_at=None, now=NOW)
        == "unknown"
    )


def test_reasons_are_a_closed_list() -> None:
    assert all(check_failure_reason(reason) == reason for reason in FAILURES)
    with pytest.raises(InvalidArgument):
        check_failure_reason("bad_luck")


def test_every_reason_tells_people_something() -> None:
    assert all(text.endswith(".") for reason, text in FAILURES.items() if reason != "none")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"accelerator_asked": "cuda", "accelerator_used": "cpu", "decoder": "pyav"},
         {"accelerator_asked": "cuda", "accelerator_used": "cpu", "decoder": "pyav"}),
        ({"fps": 1.0, "cpu_usage": "15%"},
         {"accelerator_asked": "", "accelerator_used": "", "decoder": ""}),
        ({"accelerator_used": 7, "decoder": "x" * 17, "accelerator_asked": ["cpu"]},
         {"accelerator_asked": "", "accelerator_used": "", "decoder": ""}),
    ],
)  # fmt: skip
def test_what_does_the_work_is_kept_as_words_or_not_at_all(
    told: dict[str, object], kept: dict[str, str]
) -> None:
    assert worked_on(told) == kept
