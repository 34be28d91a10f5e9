"""On PostgreSQL, telemetry lies in a partition for each day; SQLite's table stays whole."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE, OLD = "telemetry_samples", "telemetry_samples_old"
KEY = "PRIMARY KEY (camera_id, observed_us, id)"
DAY_US = 24 * 3600 * 1_000_000


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    _replace("PARTITION BY RANGE (observed_us)")
    days = connection.scalars(sa.text(f"SELECT DISTINCT observed_us / {DAY_US} FROM {OLD}"))  # noqa: S608 - constants
    for day in sorted(days):
        date = datetime.fromtimestamp(0, UTC) + timedelta(days=day)
        op.execute(
            f"CREATE TABLE {TABLE}_{date:%Y%m%d} PARTITION OF {TABLE}"
            f" FOR VALUES FROM ({day * DAY_US}) TO ({(day + 1) * DAY_US})"
        )
    _move()


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _replace("")
    _move()


def _replace(layout: str) -> None:
    """Put an empty table in the place of the one that is there."""
    op.execute(f"ALTER TABLE {TABLE} RENAME TO {OLD}")
    op.execute(f"ALTER TABLE {OLD} RENAME CONSTRAINT pk_{TABLE} TO pk_{OLD}")
    op.execute(f"CREATE TABLE {TABLE} (LIKE {OLD}) {layout}")
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT pk_{TABLE} {KEY}")


def _move() -> None:
    op.execute(f"INSERT INTO {TABLE} SELECT * FROM {OLD}")  # noqa: S608 - constants
    op.execute(f"DROP TABLE {OLD}")
