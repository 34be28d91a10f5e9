"""Telemetry: samples by camera and time, and how far each reporter's session is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "telemetry_samples",
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("observed_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("zone", sa.String(length=200), nullable=False),
        sa.Column("occupancy", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("exits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("camera_id", "observed_us", "id", name="pk_telemetry_samples"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "telemetry_sessions",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_digest", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_telemetry_sessions"),
    )
    op.create_index("ix_telemetry_sessions_camera_id", "telemetry_sessions", ["camera_id"])
    op.create_index("ix_telemetry_sessions_updated_at", "telemetry_sessions", ["updated_at"])


def downgrade() -> None:
    op.drop_table("telemetry_sessions")
    op.drop_table("telemetry_samples")
