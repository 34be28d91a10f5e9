"""The tables of telemetry come and go without harm to what is beside them."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from control_plane import schema

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
