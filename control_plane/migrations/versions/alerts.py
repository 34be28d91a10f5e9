"""Alerts: rules, watch lists, what was raised, and how far the feed was judged."""

import sqlalchemy as sa
from alembic import op

from control_plane.tables import sorted_text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COUNTS = ("alerts", "alert_rules", "watch_lists")


def upgrade() -> None:
    op.create_table(
        "watch_lists",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sort_key", sorted_text(300), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watch_lists"),
        sa.UniqueConstraint("request_id", name="uq_watch_lists_request_id"),
    )
    op.create_index("ix_watch_lists_sort_key_id", "watch_lists", ["sort_key", "id"])
    op.create_table(
        "watch_list_members",
        sa.Column("watch_list_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["watch_list_id"],
            ["watch_lists.id"],
            name="fk_watch_list_members_watch_list_id_watch_lists",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("watch_list_id", "person_id", name="pk_watch_list_members"),
    )
    op.create_index("ix_watch_list_members_person_id", "watch_list_members", ["person_id"])
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sort_key", sorted_text(300), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("watch_list_id", sa.String(length=36), nullable=True),
        sa.Column("condition", sa.JSON(), nullable=False),
        sa.Column("cooldown_s", sa.Integer(), nullable=False),
        sa.Column("active_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["watch_list_id"],
            ["watch_lists.id"],
            name="fk_alert_rules_watch_list_id_watch_lists",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_alert_rules"),
        sa.UniqueConstraint("request_id", name="uq_alert_rules_request_id"),
    )
    op.create_index("ix_alert_rules_sort_key_id", "alert_rules", ["sort_key", "id"])
    op.create_index("ix_alert_rules_person_id", "alert_rules", ["person_id"])
    op.create_index("ix_alert_rules_watch_list_id", "alert_rules", ["watch_list_id"])
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("rule_id", sa.String(length=36), nullable=False),
        sa.Column("rule_name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("sighting_id", sa.String(length=36), nullable=True),
        sa.Column("zone", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.String(length=1200), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("rule_id", "sighting_id", name="uq_alerts_rule_id_sighting_id"),
    )
    op.create_index("ix_alerts_raised_at_id", "alerts", ["raised_at", "id"])
    for column in ("rule_id", "camera_id", "person_id", "state"):
        op.create_index(f"ix_alerts_{column}_raised_at_id", "alerts", [column, "raised_at", "id"])
    op.create_index("ix_alerts_sighting_id", "alerts", ["sighting_id"])
    op.create_table(
        "alert_standings",
        sa.Column("rule_id", sa.String(length=36), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_told", sa.Boolean(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rule_id", "subject", name="pk_alert_standings"),
    )
    for column in ("camera_id", "person_id", "updated_at"):
        op.create_index(f"ix_alert_standings_{column}", "alert_standings", [column])
    cursor = op.create_table(
        "alert_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_cursor"),
    )
    op.bulk_insert(cursor, [{"id": 1, "sequence": 0}])
    op.create_table(
        "occupancy_levels",
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("zone", sa.String(length=200), nullable=False),
        sa.Column("over", sa.JSON(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("camera_id", "zone", name="pk_occupancy_levels"),
    )
    with op.batch_alter_table("erasure_receipts") as receipts:
        for column in _COUNTS:
            receipts.add_column(sa.Column(column, sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("erasure_receipts") as receipts:
        for column in _COUNTS:
            receipts.drop_column(column)
    for table in (
        "occupancy_levels", "alert_cursor", "alert_standings", "alerts", "alert_rules",
        "watch_list_members", "watch_lists",
    ):  # fmt: skip
        op.drop_table(table)
