"""Whoever does not belong tries to get in; the last tests plant bugs and show that it is found."""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from control_plane.access import CameraScope
from control_plane.runtime import store
from control_plane.runtime.tables import CameraRuntimeRow
from control_plane.telemetry import plan
from service_runtime.interceptors import chain
from service_runtime.revocations import RevocationList
from tests.faults.auth import (
    FAULTS,
    MATRIX,
    Fault,
    doubled_headers,
    put_in,
    revoked_by_id_or_by_subject,
    roles_that_may_not,
    worker_of_an_old_epoch,
    worker_of_another_camera,
)
from tests.faults.auth_world import World, running_world
from tests.faults.row import Violation


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path, dice=random.Random(1), thorough=False) as made:
        yield made


async def test_nobody_gets_in_who_does_not_belong(world: World) -> None:
    figures = await put_in(world, FAULTS + MATRIX, seed=1, rounds=1)
    assert figures["unexpected_allows"] == figures["unexpected_refusals"] == 0
    assert figures["cells"] > 500


def leave_out_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def require_epoch(session: Any, camera_id: str, _epoch: int | None) -> Any:
        return await session.get(CameraRuntimeRow, camera_id)

    monkeypatch.setattr(store, "require_epoch", require_epoch)


def leave_out_the_epoch_of_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_epoch_in_force", lambda batch, epochs: epochs[batch.camera_id])


def leave_out_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CameraScope, "holds", lambda *_: True)


def leave_out_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "authorize", lambda *_: None)


def leave_out_revocations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RevocationList, "names", lambda *_, **__: False)


def let_the_last_header_win(monkeypatch: pytest.MonkeyPatch) -> None:
    def single_valued(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        return dict(pairs)

    monkeypatch.setattr(chain, "_single_valued", single_valued)


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (leave_out_the_epoch, worker_of_an_old_epoch),
        (leave_out_the_epoch_of_telemetry, worker_of_an_old_epoch),
        (leave_out_the_camera, worker_of_another_camera),
        (leave_out_the_role, roles_that_may_not),
        (leave_out_revocations, revoked_by_id_or_by_subject),
        (let_the_last_header_win, doubled_headers),
    ],
)
async def test_a_planted_bug_is_found(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    fault: Fault,
) -> None:
    await put_in(world, [fault], seed=1, rounds=1)
    plant(monkeypatch)
    with pytest.raises(Violation, match=r"let in|DID NOT RAISE"):
        await put_in(world, [fault], seed=1, rounds=1)
    monkeypatch.undo()
