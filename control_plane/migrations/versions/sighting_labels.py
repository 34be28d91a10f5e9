"""What people said of sightings: who it was, and who it was not."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sighting_labels",
        sa.Column("sighting_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("labelled_by", sa.String(length=200), nullable=False),
        sa.Column("labelled_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["sighting_id"],
            ["sightings.id"],
            name="fk_sighting_labels_sighting_id_sightings",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sighting_id", "person_id", name="pk_sighting_labels"),
    )
    op.create_index("ix_sighting_labels_person_id", "sighting_labels", ["person_id"])


def downgrade() -> None:
    op.drop_table("sighting_labels")
