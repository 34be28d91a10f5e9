"""Ids of sightings in a table of their own; on PostgreSQL, sightings in a partition for each day.

Whatever started long before lies in one partition: a day's own is made for what is reported now.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLE, OLD, IDS = "sightings", "sightings_old", "sighting_ids"
OF_A_SIGHTING = ("sighting_candidates", "sighting_labels")
INDEXES = {
    "ix_sightings_camera_id_started_at_id": "camera_id, started_at, id",
    "ix_sightings_crop_blob_id": "crop_blob_id",
    "ix_sightings_ended_at_id": "ended_at, id",
    "ix_sightings_person_id_started_at_id": "person_id, started_at, id",
    "ix_sightings_started_at_id": "started_at, id",
}
LONG_AGO = timedelta(days=60)


def upgrade() -> None:
    op.create_table(
        IDS,
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sighting_ids"),
    )
    op.execute(f"INSERT INTO {IDS} SELECT id FROM {TABLE}")  # noqa: S608 - constants
    _tie(old=TABLE, new=IDS)
    if op.get_bind().dialect.name == "postgresql":
        _replace("PARTITION BY RANGE (started_at)", key="id, started_at")
        _make_days()
        _move()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _replace("", key="id")
        _move()
    _tie(old=IDS, new=TABLE)
    op.drop_table(IDS)


def _tie(*, old: str, new: str) -> None:
    """Have what hangs on a sighting go with a row of another table."""
    for table in OF_A_SIGHTING:
        name = f"fk_{table}_sighting_id_"
        with op.batch_alter_table(table) as rows:
            rows.drop_constraint(name + old, type_="foreignkey")
            rows.create_foreign_key(name + new, new, ["sighting_id"], ["id"], ondelete="CASCADE")


def _replace(layout: str, *, key: str) -> None:
    """Put an empty table in the place of the one that is there."""
    op.execute(f"ALTER TABLE {TABLE} RENAME TO {OLD}")
    op.execute(f"ALTER TABLE {OLD} RENAME CONSTRAINT pk_{TABLE} TO pk_{OLD}")
    op.execute(f"CREATE TABLE {TABLE} (LIKE {OLD}) {layout}")
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT pk_{TABLE} PRIMARY KEY ({key})")
    for name, columns in INDEXES.items():
        op.execute(f"DROP INDEX {name}")
        op.execute(f"CREATE INDEX {name} ON {TABLE} ({columns})")


def _make_days() -> None:
    first = (datetime.now(UTC) - LONG_AGO).replace(hour=0, minute=0, second=0, microsecond=0)
    op.execute(
        f"CREATE TABLE {TABLE}_before_{first:%Y%m%d} PARTITION OF {TABLE}"
        f" FOR VALUES FROM (MINVALUE) TO ('{first.isoformat()}')"
    )
    days = op.get_bind().scalars(
        sa.text(
            "SELECT DISTINCT date_trunc('day', started_at, 'UTC') FROM sightings_old"
            " WHERE started_at >= :first"
        ),
        {"first": first},
    )
    for day in sorted(days):
        end = day + timedelta(days=1)
        op.execute(
            f"CREATE TABLE {TABLE}_{day:%Y%m%d} PARTITION OF {TABLE}"
            f" FOR VALUES FROM ('{day.isoformat()}') TO ('{end.isoformat()}')"
        )


def _move() -> None:
    op.execute(f"INSERT INTO {TABLE} SELECT * FROM {OLD}")  # noqa: S608 - constants
    op.execute(f"DROP TABLE {OLD}")
