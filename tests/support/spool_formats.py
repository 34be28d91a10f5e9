"""Files of a worker's spool as earlier formats had them."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.identifiers import new_id

_FORMAT_1 = """
CREATE TABLE camera (camera_id TEXT NOT NULL);
CREATE TABLE sightings (
    number INTEGER PRIMARY KEY, added_s INTEGER NOT NULL, id TEXT NOT NULL,
    revision INTEGER NOT NULL, report BLOB NOT NULL
);
CREATE INDEX sightings_by_id ON sightings (id);
CREATE TABLE telemetry (
    number INTEGER PRIMARY KEY, added_s INTEGER NOT NULL, samples INTEGER NOT NULL,
    portion BLOB NOT NULL
);
CREATE TABLE batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, kind TEXT NOT NULL,
    sequence INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
);
PRAGMA application_id = 1145456976;
PRAGMA user_version = 1;
"""


def write_format_1(
    folder: Path,
    *,
    camera_id: str,
    session_id: str = "",
    sightings: Sequence[gateway_pb2.SightingReport],
    telemetry: gateway_pb2.TelemetryBatch,
    added_at: datetime,
) -> None:
    """Leave a file of the first format; the first sighting and the samples are under way."""
    session_id, added_s = session_id or new_id(), int(added_at.timestamp())
    connection = sqlite3.connect(folder / "spool.db")
    connection.executescript(_FORMAT_1)
    connection.execute("INSERT INTO camera VALUES (?)", (camera_id,))
    connection.executemany(
        "INSERT INTO sightings VALUES (?, ?, ?, ?, ?)",
        [
            (number, added_s, made.id, made.revision, made.SerializeToString())
            for number, made in enumerate(sightings, 1)
        ],
    )
    connection.execute(
        "INSERT INTO telemetry VALUES (1, ?, ?, ?)",
        (added_s, len(telemetry.samples), telemetry.SerializeToString()),
    )
    connection.executemany(
        "INSERT INTO batches (session_id, kind, sequence, first, last) VALUES (?, ?, 1, 1, 1)",
        [(session_id, "sightings"), (session_id, "telemetry")],
    )
    connection.commit()
    connection.close()
