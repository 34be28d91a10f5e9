"""The retention policy that administrators set."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_policy",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_days", sa.Double(), nullable=True),
        sa.Column("sighting_days", sa.Double(), nullable=True),
        sa.Column("telemetry_days", sa.Double(), nullable=True),
        sa.Column("alert_days", sa.Double(), nullable=True),
        sa.Column("webhook_days", sa.Double(), nullable=True),
        sa.Column("audit_days", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retention_policy"),
    )


def downgrade() -> None:
    op.drop_table("retention_policy")
