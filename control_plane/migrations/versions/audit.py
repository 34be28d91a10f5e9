"""The audit: who did what, and who was refused."""

import sqlalchemy as sa
from alembic import op

from control_plane.tables import BigSerial

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", BigSerial, autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("object_kind", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.String(length=64), nullable=False),
        sa.Column("within_kind", sa.String(length=64), nullable=False),
        sa.Column("within_id", sa.String(length=64), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("client_address", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_actor_sequence", "audit", ["actor", "sequence"])
    op.create_index("ix_audit_object_id_sequence", "audit", ["object_id", "sequence"])
    op.create_index("ix_audit_within_id_sequence", "audit", ["within_id", "sequence"])
    op.create_index("ix_audit_outcome_sequence", "audit", ["outcome", "sequence"])


def downgrade() -> None:
    op.drop_table("audit")
