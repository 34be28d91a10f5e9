"""What is done about a camera follows from wish and reality alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camera_manager.cameras import CameraView, Link, RuntimeRow
from camera_manager.failures import NO_FAILURES, Failures
from camera_manager.plan import (
    Action,
    Erase,
    Plan,
    Relist,
    Rest,
    Start,
    Stop,
    Wait,
    plan,
)
from camera_manager.runtimes.port import EndKind, ObservedWorker

# what is slow here is the machine, at times
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


NOW = 1000.0
WALL = datetime(2026, 1, 1, tzinfo=UTC)
UP = Link(up_since=0.0, listed_at=0.0)
DOWN = Link(up_since=None, listed_at=0.0)
WAITING = Failures(
    count=3, reason="killed", retry_at=NOW + 7, next_retry_at=WALL + timedelta(seconds=7)
)
HOPELESS = Failures(count=1, reason="model_unavailable", hopeless_generation=4)
RUNNING_ROW = RuntimeRow(epoch=2, worker_status="running", last_heartbeat=WALL)
WANTED = CameraView(
    camera_id="c", wanted=True, generation=4, epoch=2, row=RUNNING_ROW, heard_at=NOW - 5
)
UNWANTED = replace(WANTED, wanted=False)
WORKER = ObservedWorker(
    camera_id="c", pod_name="p", epoch=2, generation=4, started_at=WALL, known_since=NOW - 500
)


def row(status: str, epoch: int = 2) -> CameraView:
    return replace(WANTED, row=RuntimeRow(epoch=epoch, worker_status=status), heard_at=None)


CASES: dict[
    str, tuple[CameraView | None, ObservedWorker | None, Failures, Link, Action, str | None]
] = {
    "gone, nothing left": (None, None, NO_FAILURES, UP, Erase(), None),
    "gone, a worker left": (None, WORKER, NO_FAILURES, UP, Stop(reason="deleted"), None),
    "unwanted, none lives, record right": (
        replace(UNWANTED, row=RuntimeRow(epoch=2, worker_status="stopped")),
        None, NO_FAILURES, UP, Rest(), None,
    ),
    "unwanted, none ever lived": (
        replace(UNWANTED, row=RuntimeRow()), None, NO_FAILURES, UP, Rest(), None,
    ),
    "unwanted, none lives, record wrong": (UNWANTED, None, NO_FAILURES, UP, Rest(), "stopped"),
    "unwanted, one lives": (
        UNWANTED, WORKER, NO_FAILURES, UP, Stop(reason="stopped"), "stopping",
    ),
    "unwanted, one lives, control plane away": (
        UNWANTED, WORKER, NO_FAILURES, DOWN, Stop(reason="stopped"), "stopping",
    ),
    "wanted, none lives": (WANTED, None, NO_FAILURES, UP, Start(), None),
    "wanted, waiting": (WANTED, None, WAITING, UP, Wait(until=NOW + 7), "backoff"),
    "wanted, waited": (WANTED, None, replace(WAITING, retry_at=NOW), UP, Start(), None),
    "wanted, hopeless": (WANTED, None, HOPELESS, UP, Rest(), "failed"),
    "wanted, hopeless before it was changed": (
        replace(WANTED, generation=5), None, HOPELESS, UP, Start(), None,
    ),
    "lives and is heard": (WANTED, WORKER, NO_FAILURES, UP, Wait(until=NOW + 40), None),
    "lives, unheard, control plane away": (
        replace(WANTED, heard_at=NOW - 400), WORKER, NO_FAILURES, DOWN, Wait(until=NOW + 45), None,
    ),
    "silent, view old": (
        replace(WANTED, heard_at=NOW - 45), WORKER, NO_FAILURES, UP, Relist(), None,
    ),
    "silent, view new": (
        replace(WANTED, heard_at=NOW - 45), WORKER, NO_FAILURES,
        Link(up_since=0.0, listed_at=NOW),
        Stop(reason="silent", grace_s=0.0, failure=EndKind.HUNG), None,
    ),
    "silent, but the control plane is only just back": (
        replace(WANTED, heard_at=NOW - 300), WORKER, NO_FAILURES,
        Link(up_since=NOW - 30, listed_at=NOW), Wait(until=NOW + 15), None,
    ),
    "young, never heard": (
        row("starting"), replace(WORKER, known_since=NOW - 10), NO_FAILURES, UP,
        Wait(until=NOW + 80), None,
    ),
    "heard only before this worker": (
        replace(WANTED, heard_at=NOW - 60), replace(WORKER, known_since=NOW - 50), NO_FAILURES, UP,
        Wait(until=NOW + 40), None,
    ),
    "a newer epoch is in force": (
        replace(WANTED, epoch=3), WORKER, NO_FAILURES, UP, Stop(reason="superseded"), None,
    ),
    "the view has not seen the new epoch yet": (
        replace(WANTED, epoch=1, row=replace(RUNNING_ROW, epoch=1)),
        replace(WORKER, known_since=NOW), NO_FAILURES, UP, Wait(until=NOW + 90), "starting",
    ),
    "a later list does not know the epoch": (
        replace(WANTED, epoch=1), replace(WORKER, known_since=NOW - 1), NO_FAILURES,
        Link(up_since=0.0, listed_at=NOW), Stop(reason="superseded"), None,
    ),
    "lives, record says stopped": (
        replace(row("stopped"), heard_at=NOW), WORKER, NO_FAILURES, UP, Wait(until=NOW + 45),
        "starting",
    ),
    "lives and says itself that its source backs off": (
        replace(row("backoff"), heard_at=NOW), WORKER, NO_FAILURES, UP, Wait(until=NOW + 45), None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_step_and_the_report(name: str) -> None:
    camera, worker, failures, link, action, status = CASES[name]
    decided = plan(camera=camera, worker=worker, failures=failures, link=link, now=NOW)
    assert decided.action == action
    assert (decided.report.worker_status if decided.report else None) == status


def test_a_report_of_a_wait_says_why_how_often_and_until_when() -> None:
    report = plan(camera=WANTED, worker=None, failures=WAITING, link=UP, now=NOW).report
    assert report is not None
    assert (report.epoch, report.observed_generation) == (2, 4)
    assert (report.failure_reason, report.error_count) == ("killed", 3)
    assert report.next_retry_at == WALL + timedelta(seconds=7)
    assert report.health_status == "unhealthy"


statuses = st.sampled_from(
    ["", "pending", "starting", "running", "stopping", "stopped", "failed", "backoff"]
)
epochs = st.integers(0, 4)
times = st.floats(0, 2000)
rows = st.builds(
    RuntimeRow,
    epoch=epochs,
    worker_status=statuses,
    failure_reason=st.sampled_from(["none", "killed", "crashed"]),
    error_count=st.integers(0, 3),
    last_heartbeat=st.none() | st.just(WALL),
)
views = st.builds(
    CameraView,
    camera_id=st.just("c"),
    wanted=st.booleans(),
    generation=st.integers(1, 3),
    epoch=epochs,
    row=rows,
    heard_at=st.none() | times,
)
workers = st.builds(
    ObservedWorker,
    camera_id=st.just("c"),
    pod_name=st.just("p"),
    epoch=epochs,
    generation=st.integers(1, 3),
    started_at=st.just(WALL),
    known_since=times,
)
failures_of = st.builds(
    Failures,
    count=st.integers(0, 3),
    reason=st.sampled_from(["killed", "crashed"]),
    retry_at=st.none() | times,
    next_retry_at=st.none() | st.just(WALL),
    hopeless_generation=st.none() | st.integers(1, 3),
)
links = st.builds(Link, up_since=st.none() | times, listed_at=times)


def any_plan(
    camera: CameraView | None,
    worker: ObservedWorker | None,
    failures: Failures,
    link: Link,
    now: float,
) -> Plan:
    return plan(camera=camera, worker=worker, failures=failures, link=link, now=now)


@calmly
@given(st.none() | views, st.none() | workers, failures_of, links, times)
def test_no_second_worker_no_unwanted_one_and_no_busy_waiting(
    camera: CameraView | None,
    worker: ObservedWorker | None,
    failures: Failures,
    link: Link,
    now: float,
) -> None:
    decided = any_plan(camera, worker, failures, link, now)
    if isinstance(decided.action, Start):
        assert worker is None
        assert camera is not None
        assert camera.wanted
    if worker is not None and (camera is None or not camera.wanted):
        assert isinstance(decided.action, Stop)
    if worker is not None and camera is not None and camera.epoch > worker.epoch:
        assert isinstance(decided.action, Stop)
    if isinstance(decided.action, Wait):
        assert decided.action.until > now


@calmly
@given(views, st.none() | workers, failures_of, links, times)
def test_a_record_that_took_the_report_asks_for_no_other(
    camera: CameraView,
    worker: ObservedWorker | None,
    failures: Failures,
    link: Link,
    now: float,
) -> None:
    report = any_plan(camera, worker, failures, link, now).report
    if report is None:
        return
    written = RuntimeRow(
        epoch=report.epoch,
        worker_status=report.worker_status,
        failure_reason=report.failure_reason,
        error_count=report.error_count,
        next_retry_at=report.next_retry_at,
        last_heartbeat=camera.row.last_heartbeat,
    )
    again = any_plan(replace(camera, row=written), worker, failures, link, now)
    assert again.report is None


@calmly
@given(views, workers, failures_of, links, times)
def test_a_worker_is_killed_for_silence_only_on_fresh_knowledge(
    camera: CameraView, worker: ObservedWorker, failures: Failures, link: Link, now: float
) -> None:
    decided = any_plan(camera, worker, failures, link, now)
    if isinstance(decided.action, Stop) and decided.action.failure is EndKind.HUNG:
        assert link.up_since is not None
        assert now - link.up_since >= 45
        assert now - worker.known_since >= 45
        assert link.listed_at >= min(worker.known_since, link.up_since) + 45
        assert camera.heard_at is None or now - camera.heard_at >= 45
