"""Telemetry ingest under faults; the last tests plant bugs and show that the faults find them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from control_plane.telemetry import plan
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.model import Batch
from tests.faults.telemetry_ingest import (
    Fault,
    World,
    full_database,
    gap,
    old_batches,
    put_in,
    running_world,
    stale_epoch,
)

ROUNDS = 1


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as made:
        yield made


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_samples_count_once(world: World, seed: int) -> None:
    await put_in(world, seed=seed, rounds=ROUNDS)


@pytest.mark.usefixtures("on_postgres")
async def test_on_postgres_as_well(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await put_in(world, seed=4, rounds=1)


def acknowledge_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    real = GroupCommit.write

    async def write(self: GroupCommit, batch: Batch, *, patient: bool = False) -> None:
        asyncio.ensure_future(real(self, batch, patient=patient)).add_done_callback(
            lambda task: task.exception()
        )

    monkeypatch.setattr(GroupCommit, "write", write)


def leave_out_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_epoch_in_force", lambda batch, epochs: epochs[batch.camera_id])


def leave_out_the_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(batch: Batch, place: Any, _known: Any, epoch: int) -> Any:
        return plan.Progress(
            camera_id=batch.camera_id, epoch=epoch, sequence=place.sequence, digest=place.digest
        )

    monkeypatch.setattr(plan, "_advance", advance)


def take_batches_after_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    real = plan._advance

    def advance(batch: Batch, place: Any, known: Any, epoch: int) -> Any:
        if place.sequence > (known.sequence if known is not None else 0):
            return plan.Progress(
                camera_id=batch.camera_id, epoch=epoch, sequence=place.sequence, digest=place.digest
            )
        return real(batch, place, known, epoch)

    monkeypatch.setattr(plan, "_advance", advance)


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (acknowledge_before_the_commit, full_database),
        (leave_out_the_epoch, stale_epoch),
        (leave_out_the_sequence, old_batches),
        (take_batches_after_a_gap, gap),
    ],
)
async def test_a_planted_bug_is_found(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    fault: Fault,
) -> None:
    await fault(world)
    await world.check()
    plant(monkeypatch)
    # a doubled batch meets the key of the table before the model sees it
    with pytest.raises((AssertionError, pytest.fail.Exception, grpc.aio.AioRpcError)):
        await fault(world)
        await world.check()
