"""The revision that makes days of sightings keeps every row and all that hangs on it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from control_plane import schema
from control_plane.database import Database
from control_plane.sightings.days import SIGHTINGS

BEFORE, AFTER = "0013", "0014"
NOW = datetime.now(UTC).replace(microsecond=0)
STARTS = {"a": NOW, "b": NOW - timedelta(days=3), "c": NOW - timedelta(days=400)}


def move(connection: Connection, revision: str) -> None:
    config = schema.configuration(connection)
    current = connection.scalar(text("SELECT version_num FROM alembic_version"))
    (command.upgrade if str(current) < revision else command.downgrade)(config, revision)


async def turn(database: Database, revision: str) -> None:
    async with database.write() as tx:
        await (await tx.session.connection()).run_sync(move, revision)


async def read(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.read() as session:
        return [tuple(row) for row in await session.execute(text(query))]


async def write(database: Database, statement: str, **values: object) -> None:
    async with database.write() as tx:
        await tx.session.execute(text(statement), values)


async def place(database: Database, id_: str, started_at: datetime) -> None:
    columns = {
        "id": "'" + id_ + "'", "camera_id": "'x'", "session_id": "'s'", "epoch": "1",
        "track_id": "1", "revision": "1", "decision": "'unknown'", "score": "0",
        "threshold": "0.6", "started_at": ":at", "ended_at": ":at", "frames": "1", "box": "'{}'",
        "quality": "'{}'", "evidence": "'{}'", "pack_id": "'p'", "dimension": "1",
        "embedding": "''", "created_at": ":at", "updated_at": ":at",
    }  # fmt: skip
    moment: object = started_at
    if not database.has_partitions:
        moment = started_at.replace(tzinfo=None).isoformat(" ")
    names, values = ", ".join(columns), ", ".join(columns.values())
    await write(database, f"INSERT INTO sightings ({names}) VALUES ({values})", at=moment)
    await write(
        database,
        "INSERT INTO sighting_candidates (sighting_id, rank, person_id, face_id, score)"
        f" VALUES ('{id_}', 0, 'p', 'f', 0.5)",
    )


async def test_sightings_move_into_their_days_and_back(empty: Database) -> None:
    await schema.migrate(empty)
    await turn(empty, BEFORE)
    for id_, started_at in STARTS.items():
        await place(empty, id_, started_at)
    before = await read(empty, "SELECT * FROM sightings ORDER BY id")
    for _ in range(2):
        await turn(empty, AFTER)
        assert await read(empty, "SELECT * FROM sightings ORDER BY id") == before
        assert await read(empty, "SELECT id FROM sighting_ids ORDER BY id") == [
            (id_,) for id_ in STARTS
        ]
        names = await empty.partition_names(SIGHTINGS)
        assert len(names) == (3 if empty.has_partitions else 0)  # two days, and all before
        with pytest.raises(IntegrityError):
            await write(empty, "INSERT INTO sighting_ids VALUES ('a')")
        await turn(empty, BEFORE)
        assert await read(empty, "SELECT * FROM sightings ORDER BY id") == before
    await write(empty, "DELETE FROM sightings WHERE id = 'a'")
    assert await read(empty, "SELECT sighting_id FROM sighting_candidates ORDER BY 1") == [
        ("b",), ("c",),
    ]  # fmt: skip
    await turn(empty, AFTER)
    await write(empty, "DELETE FROM sighting_ids WHERE id = 'b'")
    assert await read(empty, "SELECT sighting_id FROM sighting_candidates") == [("c",)]
