"""Pictures on disk: whole or not there, for their owner alone, and inside their folder."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control_plane.blobs.directory import BlobDirectory, BlobMissing, BlobTooLarge

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_what_was_put_can_be_read_and_removed(tmp_path: Path) -> None:
    blobs = BlobDirectory(tmp_path / "blobs")
    first, second = await blobs.put(b"one"), await blobs.put(b"one")
    assert first != second
    assert await blobs.get(first) == b"one"
    assert await blobs.delete([first]) == 1
    assert await blobs.delete([first]) == 0
    with pytest.raises(BlobMissing):
        await blobs.get(first)
    assert await BlobDirectory(tmp_path / "blobs").get(second) == b"one"


async def test_files_are_for_their_owner_and_say_nothing(tmp_path: Path) -> None:
    blobs = BlobDirectory(tmp_path / "blobs")
    blob_id = await blobs.put(b"one")
    (path,) = files(tmp_path)
    assert path.name == blob_id
    assert path.parent.name == blob_id[:2]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_too_much_is_refused(tmp_path: Path) -> None:
    blobs = BlobDirectory(tmp_path, largest=3)
    await blobs.put(b"123")
    with pytest.raises(BlobTooLarge):
        await blobs.put(b"1234")
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("blob_id", ["", "../secret", "a" * 31, "A" * 32, "/etc/passwd", "ab/cd"])
async def test_an_id_cannot_leave_the_folder(tmp_path: Path, blob_id: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    blobs = BlobDirectory(tmp_path / "blobs")
    with pytest.raises(BlobMissing):
        await blobs.get(blob_id)
    with pytest.raises(BlobMissing):
        await blobs.delete([blob_id])
    assert (tmp_path / "secret").exists()


async def test_a_full_disk_leaves_no_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = BlobDirectory(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        await blobs.put(b"one")
    assert files(tmp_path) == []


async def test_the_sweep_takes_old_files_that_nobody_names(tmp_path: Path) -> None:
    blobs = BlobDirectory(tmp_path)
    named, old, young = [await blobs.put(content) for content in (b"named", b"old", b"young")]
    half = tmp_path / old[:2] / f".{'0' * 32}.12345678.new"
    half.write_bytes(b"half")
    stranger = tmp_path / old[:2] / "README"
    stranger.write_bytes(b"not ours")
    for path in files(tmp_path):
        moment = NOW - timedelta(days=0 if path.name == young else 1)
        os.utime(path, (moment.timestamp(), moment.timestamp()))

    async def rows(blob_ids: Sequence[str]) -> set[str]:
        return {named} & set(blob_ids)

    assert await blobs.sweep(older_than=NOW - timedelta(hours=1), named=rows) == 2
    assert {path.name for path in files(tmp_path)} == {named, young, "README"}
    assert await BlobDirectory(tmp_path / "none").sweep(older_than=NOW, named=rows) == 0
