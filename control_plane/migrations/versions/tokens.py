"""Tokens: which were made, and which hold no more."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "issued_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("camera_id", sa.String(length=36), nullable=True),
        sa.Column("cameras", sa.JSON(), nullable=False),
        sa.Column("issued_by", sa.String(length=200), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issued_tokens"),
    )
    op.create_index("ix_issued_tokens_issued_at_id", "issued_tokens", ["issued_at", "id"])
    op.create_index("ix_issued_tokens_expires_at", "issued_tokens", ["expires_at"])
    op.create_table(
        "revoked_tokens",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("revoked_by", sa.String(length=200), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revoked_tokens"),
    )
    op.create_index("ix_revoked_tokens_expires_at", "revoked_tokens", ["expires_at"])
    op.create_table(
        "revoked_subjects",
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("revoked_by", sa.String(length=200), nullable=False),
        sa.Column("issued_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_revoked_subjects"),
    )
    op.create_index("ix_revoked_subjects_revoked_at", "revoked_subjects", ["revoked_at"])


def downgrade() -> None:
    op.drop_table("revoked_subjects")
    op.drop_table("revoked_tokens")
    op.drop_table("issued_tokens")
