"""Erased sightings: which ids no report brings back."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erased_sightings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erased_sightings"),
    )
    op.create_index("ix_erased_sightings_erased_at", "erased_sightings", ["erased_at"])


def downgrade() -> None:
    op.drop_table("erased_sightings")
