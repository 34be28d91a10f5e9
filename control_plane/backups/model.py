"""What a backup is: a folder with ``manifest.json`` and ``data.tar``, there as a whole or not.

The archive holds ``database.sqlite`` or ``database.pgdump``, ``blobs/<id>`` and, only where that
was asked for, ``keys/master.key``. The manifest names every one of them with its size and SHA-256,
so nothing else is ever taken out of an archive.
"""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

FORMAT: Final = 1
MANIFEST_FILE: Final = "manifest.json"
ARCHIVE_FILE: Final = "data.tar"
SQLITE_COPY: Final = "database.sqlite"
POSTGRES_DUMP: Final = "database.pgdump"
MASTER_KEY: Final = "keys/master.key"
BLOBS: Final = "blobs/"
LARGEST_MANIFEST: Final = 512 * 1024 * 1024
_NAME: Final = re.compile(
    rf"{re.escape(SQLITE_COPY)}|{re.escape(POSTGRES_DUMP)}|{re.escape(MASTER_KEY)}"
    rf"|{BLOBS}[0-9a-f]{{32}}"
)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class BackupError(Exception):
    """A backup that cannot be made or restored; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A file of the archive: its size in bytes and the SHA-256 of its content, in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds.

    Attributes:
        id: Name of its folder.
        made_at: When the copy of the database was taken, ISO 8601.
        revision: Schema of the database.
        feed_id: Which history the database told; a restored one begins a new one.
        master_key_id: The master key that opens its secrets, as a digest of it.
        with_keys: Whether that key is in the archive.
        missing_blobs: Pictures that were removed while the archive was written.
        files: The files of the archive by their names.
    """

    id: str
    made_at: str
    revision: str
    feed_id: str
    master_key_id: str
    with_keys: bool
    missing_blobs: int
    files: dict[str, FileRecord]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    @property
    def when(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)

    def to_json(self) -> bytes:
        """Return the manifest as its file has it."""
        return json.dumps({"format": FORMAT, **asdict(self)}).encode()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of a backup.

        Raises:
            BackupError: There is none, or it is not one of ours.
        """
        try:
            with (folder / MANIFEST_FILE).open("rb") as file:
                content = file.read(LARGEST_MANIFEST + 1)
            if len(content) > LARGEST_MANIFEST:
                raise ValueError
            return cls._parse(json.loads(content))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise BackupError(
                f"{folder} is no backup of this version: it has no {MANIFEST_FILE} that can be"
                " read; name the folder of a backup."
            ) from None

    @classmethod
    def _parse(cls, document: dict[str, Any]) -> Self:
        if document.pop("format") != FORMAT:
            raise ValueError
        files = {}
        for name, record in document.pop("files").items():
            size, digest = record["size"], record["sha256"]
            if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
                raise ValueError
            if type(size) is not int or size < 0:
                raise ValueError
            files[name] = FileRecord(size=size, sha256=digest)
        manifest = cls(files=files, **document)
        if (SQLITE_COPY in files) == (POSTGRES_DUMP in files) or manifest.when.tzinfo is None:
            raise ValueError
        return manifest
