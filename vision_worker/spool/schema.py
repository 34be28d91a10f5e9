"""The tables of the spool's file, and what is done to a file that another release wrote.

``application_id`` says that a file is a spool, ``user_version`` in which format. A file of an older
format is brought to this one, in one transaction; one of a newer format is left alone.
"""

import sqlite3
from typing import Final

from vision_worker.spool.files import SpoolUnusable

APPLICATION_ID: Final = 0x44464950  # "DFIP"
FORMAT: Final = 1

_TABLES: Final = (
    "CREATE TABLE camera (camera_id TEXT NOT NULL)",
    """
    CREATE TABLE sightings (
        number INTEGER PRIMARY KEY, added_s INTEGER NOT NULL, id TEXT NOT NULL,
        revision INTEGER NOT NULL, report BLOB NOT NULL
    )
    """,
    "CREATE INDEX sightings_by_id ON sightings (id)",
    """
    CREATE TABLE telemetry (
        number INTEGER PRIMARY KEY, added_s INTEGER NOT NULL, samples INTEGER NOT NULL,
        portion BLOB NOT NULL
    )
    """,
    # rows `first` to `last` of the table `kind`, sent under these and no other names
    """
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, kind TEXT NOT NULL,
        sequence INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
    )
    """,
)


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
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    owner = connection.execute("SELECT camera_id FROM camera").fetchone()
    if owner is None or owner[0] != camera_id:
        raise SpoolUnusable("another_camera")


def _create(connection: sqlite3.Connection, camera_id: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO camera (camera_id) VALUES (?)", (camera_id,))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")
