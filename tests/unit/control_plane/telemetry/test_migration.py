"""The tables of telemetry come and go without harm to what is beside them."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, inspect, text

from control_plane import schema
from control_plane.database import Database

TABLES = {"telemetry_samples", "telemetry_sessions"}
CAMERA = (
    "INSERT INTO cameras VALUES ('c', 'Door', 'door', x'00', 'rtsp', 'running', '', '', '{}', '{}',"
    " '{}', 1, 1, NULL, NULL, '2026-01-01', '2026-01-01')"
)


def test_up_and_down_on_data(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'dfip.db'}")
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        assert not TABLES & set(inspect(connection).get_table_names())
        connection.execute(text(CAMERA))

        command.upgrade(config, "0002")
        connection.execute(
            text("INSERT INTO telemetry_samples VALUES ('c', 1, 1, '', 5, 0.5, 0, 0)")
        )
        connection.execute(
            text("INSERT INTO telemetry_sessions VALUES ('s', 'c', 1, 1, x'00', '2026-01-01')")
        )

        command.downgrade(config, "0001")
        assert not TABLES & set(inspect(connection).get_table_names())
        assert connection.scalar(text("SELECT name FROM cameras")) == "Door"
        command.upgrade(config, "head")
        assert connection.scalar(text("SELECT count(*) FROM telemetry_samples")) == 0
    engine.dispose()


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_key_holds_a_row_once(tmp_path: Path, table: str) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'dfip.db'}")
    with engine.begin() as connection:
        schema.upgrade(connection)
        keys = inspect(connection).get_pk_constraint(table)["constrained_columns"]
    engine.dispose()
    expected = (
        ["camera_id", "observed_us", "id"] if table == "telemetry_samples" else ["session_id"]
    )
    assert keys == expected


DAY = 86_400_000_000
ROWS = [("c", day * DAY + at, 1) for day in (20_000, 20_001, 20_040) for at in (0, DAY - 1)]


def move(connection: Connection, revision: str) -> None:
    config = schema.configuration(connection)
    current = connection.scalar(text("SELECT version_num FROM alembic_version"))
    (command.upgrade if str(current) < revision else command.downgrade)(config, revision)


async def test_samples_move_into_their_days_and_back(empty: Database) -> None:
    """The revision that makes days keeps every sample, up and down."""

    async def turn(revision: str) -> list[tuple[str, int, int]]:
        async with empty.write() as tx:
            await (await tx.session.connection()).run_sync(move, revision)
        async with empty.read() as session:
            query = "SELECT camera_id, observed_us, id FROM telemetry_samples ORDER BY 1, 2, 3"
            return [tuple(row) for row in await session.execute(text(query))]

    await schema.migrate(empty)
    assert await turn("0004") == []
    async with empty.write() as tx:
        for camera_id, at, id_ in ROWS:
            await tx.session.execute(
                text("INSERT INTO telemetry_samples VALUES (:c, :at, :id, '', 5, 0.5, 0, 0)"),
                {"c": camera_id, "at": at, "id": id_},
            )
    assert await turn("0005") == ROWS
    async with empty.read() as session:
        table = schema.metadata.tables["telemetry_samples"]
        days = ["20241004", "20241005", "20241113"]
        partitions = [f"telemetry_samples_{day}" for day in days]
        found = await empty._engine.partition_names(session, table)
        assert found == (partitions if empty.has_partitions else [])
    assert await turn("0004") == ROWS
    assert await turn("0005") == ROWS
