"""The feed remembers which database it stands in, so that a restored copy gets another id."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("feed") as feed:
        feed.add_column(sa.Column("history", sa.String(length=100), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("feed") as feed:
        feed.drop_column("history")
