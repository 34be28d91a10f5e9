"""The archive of a backup: a plain tar, written and read with nothing left to chance.

Reading takes what the manifest names and refuses everything else: other names, a name twice, links,
devices, folders, sparse files, a size or digest that differs. Nothing is ever written outside the
target, because names come from a fixed pattern and files are made anew, never opened.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Self

from control_plane.backups.model import BLOBS, BackupError, FileRecord, Manifest

_CHUNK: Final = 1024 * 1024


class ArchiveWriter:
    """Writes an archive and keeps count of what went into it. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.files: dict[str, FileRecord] = {}

    def __enter__(self) -> Self:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()

    def add_file(self, name: str, path: Path) -> None:
        """Add a file that nobody changes meanwhile."""
        with path.open("rb") as source:
            self._add(name, source, os.fstat(source.fileno()).st_size)

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file of this content."""
        self._add(name, io.BytesIO(content), len(content))

    def _add(self, name: str, source: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        digesting = _Digesting(source)
        self._tar.addfile(member, digesting)
        self.files[name] = FileRecord(size=size, sha256=digesting.digest.hexdigest())


class _Digesting:
    """Passes on what is read, and digests it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Read on."""
        data = self._source.read(size)
        self.digest.update(data)
        return data


def extract(archive: Path, manifest: Manifest, place: Callable[[str], Path]) -> None:
    """Take every file of the manifest out of an archive.

    Args:
        archive: The file.
        manifest: What must be in it, no more and no less.
        place: Where a file goes by its name; its folder is there, the file is not.

    Raises:
        BackupError: It holds anything else.
        OSError: The disk is full or not ours.
    """
    left = dict(manifest.files)
    try:
        with tarfile.open(archive, mode="r:") as tar:
            for member in tar:
                record = left.pop(member.name, None)
                if record is None or not _is_plain(member) or member.size != record.size:
                    raise BackupError(
                        f"{archive} holds an entry that its manifest does not name as it is;"
                        " nothing of it is used. Take another backup."
                    )
                source = tar.extractfile(member)
                assert source is not None, "a regular file has content"  # noqa: S101 - a defect
                _copy(source, place(member.name), record, archive)
    except tarfile.TarError:
        raise _damaged(archive) from None
    if left:
        raise _damaged(archive)


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse()


def _copy(source: IO[bytes], target: Path, record: FileRecord, archive: Path) -> None:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if size != record.size or digest.hexdigest() != record.sha256:
        raise _damaged(archive)


def _damaged(archive: Path) -> BackupError:
    return BackupError(
        f"{archive} is damaged: it does not hold what its manifest says; take another backup."
    )


def blob_name(blob_id: str) -> str:
    """Return what a picture is called in an archive."""
    return f"{BLOBS}{blob_id}"
