"""What a transaction writes: each batch once, in order, of whoever may speak."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.telemetry.model import Batch, Place, Sample
from control_plane.telemetry.plan import Plan, Progress, Standing, plan_group
from service_runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ServiceError,
)

CAMERA = "camera"


def standing(**changes: Any) -> Standing:
    return Standing(**({"epochs": {CAMERA: 3}, "sessions": {}, "present": set()} | changes))


def batch(sequence: int, *, content: bytes = b"x", **changes: Any) -> Batch:
    values: dict[str, Any] = {
        "camera_id": CAMERA,
        "epoch": 3,
        "samples": (Sample(observed_us=sequence, occupancy=1),),
        "ids": (sequence * 1000,),
        "place": Place(session_id="s", sequence=sequence, digest=content),
    }
    return Batch(**(values | changes))


def report(id_: int, **changes: Any) -> Batch:
    return batch(1, **({"place": None, "ids": (id_,), "repeatable": True} | changes))


def at(sequence: int, digest: bytes = b"x", camera_id: str = CAMERA) -> dict[str, Progress]:
    return {"s": Progress(camera_id=camera_id, epoch=3, sequence=sequence, digest=digest)}


def written(plan: Plan) -> list[int]:
    return [sample.observed_us for _, sample in plan.samples]


def test_batches_of_a_session_count_in_their_order() -> None:
    plan = plan_group([batch(1), batch(2), batch(3)], standing())
    assert written(plan) == [1, 2, 3]
    assert plan.sessions == at(3)
    assert plan.heard == {CAMERA}


def test_a_batch_twice_in_a_group_counts_once_and_both_are_taken() -> None:
    plan = plan_group([batch(1), batch(1), batch(2), batch(1)], standing())
    assert written(plan) == [1, 2]
    assert plan.refused == {}


@pytest.mark.parametrize(
    ("sent", "known", "error"),
    [
        (batch(2), {}, OutOfRange),
        (batch(7), at(5), OutOfRange),
        (batch(5, content=b"y"), at(5), AlreadyExists),
        (batch(6), at(5, camera_id="other"), PermissionDenied),
        (batch(1, epoch=2), {}, FailedPrecondition),
        (batch(1, epoch=None), {}, FailedPrecondition),
        (batch(1, camera_id="gone"), {}, NotFound),
    ],
)
def test_what_may_not_count_is_refused_and_the_others_are_not(
    sent: Batch, known: dict[str, Progress], error: type[ServiceError]
) -> None:
    plan = plan_group([sent, report(1)], standing(sessions=known))
    assert isinstance(plan.refused[0], error)
    assert len(plan.samples) == 1
    assert plan.sessions == {}
    assert set(plan.refused) == {0}


def test_a_gap_tells_what_is_missing() -> None:
    refusal = plan_group([batch(9)], standing(sessions=at(5))).refused[0]
    assert refusal.metadata == {"expected": "6"}


def test_a_repeated_report_counts_once() -> None:
    plan = plan_group([report(1), report(1), report(2)], standing(present={(CAMERA, 1, 2)}))
    assert [key for key, _ in plan.samples] == [(CAMERA, 1, 1)]
    assert plan.refused == {}


@given(st.lists(st.integers(1, 6), max_size=40), st.integers(1, 5))
def test_whatever_comes_what_is_taken_is_there_once(sequences: list[int], size: int) -> None:
    """A session's batches in any order, grouped anyhow: a taken number is written exactly once."""
    sessions: dict[str, Progress] = {}
    taken: set[int] = set()
    rows: list[int] = []
    for start in range(0, len(sequences), size):
        group = [batch(sequence) for sequence in sequences[start : start + size]]
        plan = plan_group(group, standing(sessions=sessions))
        sessions |= plan.sessions
        rows += written(plan)
        taken |= {
            sent.place.sequence
            for index, sent in enumerate(group)
            if sent.place is not None and index not in plan.refused
        }
    assert sorted(rows) == sorted(taken) == list(range(1, len(taken) + 1))
