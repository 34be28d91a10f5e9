"""The whole picture in which a face was seen, beside its crop."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sightings", sa.Column("context_blob_id", sa.String(length=64), nullable=True))
    op.create_index("ix_sightings_context_blob_id", "sightings", ["context_blob_id"])


def downgrade() -> None:
    op.drop_index("ix_sightings_context_blob_id", "sightings")
    op.drop_column("sightings", "context_blob_id")
