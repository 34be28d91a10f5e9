"""An archive gives what its manifest names, and nothing else, wherever it came from."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from control_plane.backups.archive import ArchiveWriter, extract
from control_plane.backups.model import BackupError, FileRecord, Manifest

DATABASE, BLOB = "database.sqlite", "blobs/" + "ab" * 16
CONTENT = {DATABASE: b"rows", BLOB: b"picture"}


def manifest(files: dict[str, FileRecord]) -> Manifest:
    return Manifest(
        id="x", made_at="2026-01-01T00:00:00+00:00", revision="1", feed_id="f",
        master_key_id="m", with_keys=False, missing_blobs=0, files=files,
    )  # fmt: skip


def records(content: dict[str, bytes]) -> dict[str, FileRecord]:
    return {
        name: FileRecord(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in content.items()
    }


def entry(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """Return the bytes of one entry of a tar."""
    buffer = io.BytesIO()
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, len(data)
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(data))
    end = buffer.getvalue()
    return end[: 512 * (len(end) // 512)].rstrip(b"\0").ljust(_whole(len(data), name), b"\0")


def _whole(size: int, name: str) -> int:
    del name
    return 512 + 512 * ((size + 511) // 512)


GOOD = [entry(name, data) for name, data in CONTENT.items()]
END = b"\0" * 1024


def take(tmp_path: Path, archive: bytes, files: dict[str, FileRecord]) -> Path:
    (tmp_path / "data.tar").write_bytes(archive)
    target = tmp_path / "target"
    target.mkdir()
    extract(tmp_path / "data.tar", manifest(files), lambda name: target / name.replace("/", "_"))
    return target


def test_what_was_written_comes_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT[DATABASE])
    with ArchiveWriter(tmp_path / "own.tar") as writer:
        writer.add_file(DATABASE, source)
        writer.add_bytes(BLOB, CONTENT[BLOB])
    assert writer.files == records(CONTENT)
    target = take(tmp_path, (tmp_path / "own.tar").read_bytes(), writer.files)
    assert (target / DATABASE).read_bytes() == b"rows"
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}


def test_the_hand_made_archive_is_a_good_one(tmp_path: Path) -> None:
    take(tmp_path, b"".join(GOOD) + END, records(CONTENT))


@pytest.mark.parametrize(
    "bad",
    [
        entry("/etc/passwd", b"x"),
        entry("../outside", b"x"),
        entry("blobs/../../outside", b"x"),
        entry("extra", b"x"),
        entry(BLOB, b"a larger picture"),
        entry(BLOB, b"PICTURE"),
        entry(BLOB, kind=tarfile.SYMTYPE, link="/etc/passwd"),
        entry(BLOB, kind=tarfile.LNKTYPE, link=DATABASE),
        entry(BLOB, kind=tarfile.CHRTYPE),
        entry(BLOB, kind=tarfile.BLKTYPE),
        entry(BLOB, kind=tarfile.FIFOTYPE),
        entry(BLOB, kind=tarfile.DIRTYPE),
        entry(BLOB, b"picture", kind=tarfile.CONTTYPE),
        entry(BLOB, b"picture", kind=tarfile.GNUTYPE_SPARSE),
    ],
)
@pytest.mark.parametrize("place", ["instead", "beside"])
def test_anything_else_is_refused(tmp_path: Path, bad: bytes, place: str) -> None:
    archive = (GOOD[0] if place == "instead" else b"".join(GOOD)) + bad + END
    before = set(tmp_path.parent.iterdir())
    with pytest.raises(BackupError):
        take(tmp_path, archive, records(CONTENT))
    assert set(tmp_path.parent.iterdir()) == before
    assert set(tmp_path.iterdir()) == {tmp_path / "data.tar", tmp_path / "target"}


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError):
        take(tmp_path, b"".join([*GOOD, GOOD[1]]) + END, records(CONTENT))


@pytest.mark.parametrize(
    "damage",
    [
        lambda archive: archive[:-1100],
        lambda archive: archive[:600],
        lambda _: b"",
        lambda _: b"nonsense" * 200,
        lambda archive: archive.replace(b"picture", b"pictur\xe5"),
        gzip.compress,
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BackupError):
        take(tmp_path, damage(b"".join(GOOD) + END), records(CONTENT))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"files": {"../x": {"size": 1, "sha256": "0" * 64}}},
        {"files": {"/etc/x": {"size": 1, "sha256": "0" * 64}}},
        {"files": {}},
        {"files": {DATABASE: {"size": -1, "sha256": "0" * 64}}},
        {"files": {DATABASE: {"size": True, "sha256": "0" * 64}}},
        {"files": {DATABASE: {"size": 1, "sha256": "x"}}},
        {"files": [1]},
        {"made_at": "yesterday"},
        {"made_at": "2026-01-01T00:00:00"},
        {"surplus": 1},
    ],
)
def test_a_manifest_of_somebody_else_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    document = json.loads(manifest(records(CONTENT)).to_json())
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    assert Manifest.read(tmp_path).files == records(CONTENT)
    (tmp_path / "manifest.json").write_text(json.dumps(document | change))
    with pytest.raises(BackupError):
        Manifest.read(tmp_path)
