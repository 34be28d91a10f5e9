"""The tables of the spool's file, and what is done to a file that another release wrote.

``application_id`` says that a file is a spool, ``user_version`` in which format. A file of an older
format is brought to this one, in one transaction; one of a newer format is left alone.

Each row has a checksum, because SQLite has none: bits that flipped on a disk must not become
somebody's sighting. It is keyed by the camera, so that no row is taken for another camera's.
"""

import hashlib
import sqlite3
from typing import Final

from vision_worker.spool.files import SpoolUnusable

APPLICATION_ID: Final = 0x44464950  # "DFIP"
FORMAT: Final = 2

_TABLES: Final = (
    "CREATE TABLE camera (camera_id TEXT NOT NULL)",
    """
    CREATE TABLE sightings (
        number INTEGER PRIMARY KEY, added_s INTEGER NOT NULL, id TEXT NOT NULL,
        revision INTEGER NOT NULL, report BLOB NOT NULL, checksum INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX sightings_by_id ON sightings (id)",
    """
    CREATE TABLE telemetry (
        number INTEGER PRIMARY KEY, added_s INTEGER NOT NULL, samples INTEGER NOT NULL,
        portion BLOB NOT NULL, checksum INTEGER NOT NULL DEFAULT 0
    )
    """,
    # rows `first` to `last` of the table `kind`, sent under these and no other names; `rows` of
    # them were there when they were cut
    """
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, kind TEXT NOT NULL,
        sequence INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        rows INTEGER NOT NULL DEFAULT 0, checksum INTEGER NOT NULL DEFAULT 0
    )
    """,
)

# what is done to a file of the format before, by the format that it has then
_STEPS: Final = {
    2: """
    ALTER TABLE sightings ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    UPDATE sightings SET checksum = checksum_of(number, id, revision, report);
    ALTER TABLE telemetry ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    UPDATE telemetry SET checksum = checksum_of(number, samples, portion);
    ALTER TABLE batches ADD COLUMN rows INTEGER NOT NULL DEFAULT 0;
    UPDATE batches SET rows = (
        SELECT count(*) FROM sightings WHERE sightings.number BETWEEN first AND last
    ) WHERE kind = 'sightings';
    UPDATE batches SET rows = (
        SELECT count(*) FROM telemetry WHERE telemetry.number BETWEEN first AND last
    ) WHERE kind = 'telemetry';
    ALTER TABLE batches ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    UPDATE batches
        SET checksum = checksum_of(number, session_id, kind, sequence, first, last, rows);
    """,
}


def checksum_of(camera_id: str, *values: int | str | bytes) -> int:
    """Return 63 bits that tell a row from any other."""
    digest = hashlib.blake2b(camera_id.encode(), digest_size=8)
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode()
        digest.update(len(data).to_bytes(4, "little"))
        digest.update(data)
    return int.from_bytes(digest.digest(), "little") >> 1


def damaged(sentence: str) -> sqlite3.DatabaseError:
    """Return the error that SQLite has for what it cannot read."""
    error = sqlite3.DatabaseError(sentence)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def prepare_schema(connection: sqlite3.Connection, camera_id: str) -> None:
    """Make the tables in a new file; check that an old one is this camera's and sound.

    Raises:
        SpoolUnusable: ``newer_format``, ``foreign`` or ``another_camera``.
        sqlite3.DatabaseError: It is damaged.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if found == 0 and application == 0 and tables == 0:
        _create(connection, camera_id)
        return
    if application != APPLICATION_ID:
        raise SpoolUnusable("foreign")
    if found > FORMAT:
        raise SpoolUnusable("newer_format")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(verdict)
    owner = connection.execute("SELECT camera_id FROM camera").fetchone()
    if owner is None or owner[0] != camera_id:
        raise SpoolUnusable("another_camera")
    if found < FORMAT:
        _migrate(connection, camera_id, found)


def _create(connection: sqlite3.Connection, camera_id: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO camera (camera_id) VALUES (?)", (camera_id,))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection, camera_id: str, found: int) -> None:
    connection.create_function(
        "checksum_of", -1, lambda *values: checksum_of(camera_id, *values), deterministic=True
    )
    connection.execute("BEGIN IMMEDIATE")
    for step in range(found + 1, FORMAT + 1):
        for statement in _STEPS[step].split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")
