"""Pictures go after their rows, and only then, through crashes and disks that refuse."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from control_plane.blobs.directory import BlobDirectory, BlobMissing
from control_plane.blobs.removal import BlobRemover, queue_removals
from control_plane.database import Database
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def blobs(tmp_path: Path) -> BlobDirectory:
    return BlobDirectory(tmp_path / "blobs")


@pytest.fixture
def remover(database: Database, blobs: BlobDirectory, clock: VirtualClock) -> BlobRemover:
    return BlobRemover(database, blobs, clock)


async def test_queued_pictures_go_others_stay(
    database: Database, blobs: BlobDirectory, remover: BlobRemover
) -> None:
    gone, kept = await blobs.put(b"gone"), await blobs.put(b"kept")
    async with database.write() as tx:
        await queue_removals(tx, [gone])
    assert await remover.drain() == 1
    assert await remover.drain() == 0
    with pytest.raises(BlobMissing):
        await blobs.get(gone)
    assert await blobs.get(kept) == b"kept"


async def test_a_rolled_back_removal_removes_nothing(
    database: Database, blobs: BlobDirectory, remover: BlobRemover
) -> None:
    blob_id = await blobs.put(b"kept")
    with pytest.raises(ValueError, match="changed my mind"):
        async with database.write() as tx:
            await queue_removals(tx, [blob_id])
            raise ValueError("changed my mind")
    assert await remover.drain() == 0
    assert await blobs.get(blob_id) == b"kept"


async def test_a_disk_that_refuses_is_asked_again(
    database: Database, blobs: BlobDirectory, remover: BlobRemover, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_id = await blobs.put(b"gone")
    async with database.write() as tx:
        await queue_removals(tx, [blob_id])

    def refuse(_: Path) -> None:
        raise PermissionError(1, "not permitted")

    with monkeypatch.context() as refusing:
        refusing.setattr(Path, "unlink", refuse)
        with pytest.raises(PermissionError):
            await remover.drain()
    assert await blobs.get(blob_id) == b"gone"
    assert await remover.drain() == 1
    with pytest.raises(BlobMissing):
        await blobs.get(blob_id)


async def test_the_sweep_leaves_what_rows_name(
    database: Database, blobs: BlobDirectory, remover: BlobRemover, clock: VirtualClock
) -> None:
    orphan, queued = await blobs.put(b"orphan"), await blobs.put(b"queued")
    async with database.write() as tx:
        await queue_removals(tx, [queued])
    long_ago = (clock.now() - timedelta(days=1)).timestamp()
    for blob_id in (orphan, queued):
        os.utime(blobs._path(blob_id), (long_ago, long_ago))
    assert await remover.sweep() == 1
    with pytest.raises(BlobMissing):
        await blobs.get(orphan)
    assert await blobs.get(queued) == b"queued"


async def test_many_at_once(database: Database, remover: BlobRemover) -> None:
    ids: Sequence[str] = [f"{number:032x}" for number in range(1201)]
    async with database.write() as tx:
        await queue_removals(tx, ids)
    assert await remover.drain() == 1201
