"""The first revision: every table, and the row that names the feed."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def sorted_text(length: int) -> sa.String:
    # by characters on every engine
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "blob_removals",
        sa.Column("blob_id", sa.String(length=64), nullable=False),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("blob_id", name="pk_blob_removals"),
    )
    op.create_table(
        "cameras",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sorted_text(600), nullable=False),
        sa.Column("connection_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("connection_scheme", sa.String(length=16), nullable=False),
        sa.Column("desired_state", sa.String(length=16), nullable=False),
        sa.Column("location", sa.String(length=500), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("zone_config", sa.JSON(), nullable=False),
        sa.Column("model_config", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("request_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cameras"),
        sa.UniqueConstraint("request_id", name="uq_cameras_request_id"),
    )
    op.create_index("ix_cameras_name_key_id", "cameras", ["name_key", "id"])
    op.create_table(
        "erasure_receipts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("erased_at", MOMENT, nullable=False),
        sa.Column("faces", sa.Integer(), nullable=False),
        sa.Column("sightings", sa.Integer(), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasure_receipts"),
    )
    op.create_index("ix_erasure_receipts_person_id", "erasure_receipts", ["person_id"])
    op.create_table(
        "events",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("camera_id", sa.String(length=36), nullable=True),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("face_id", sa.String(length=36), nullable=True),
        sa.Column("sighting_id", sa.String(length=36), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_created_at", "events", ["created_at"])
    op.create_index("ix_events_person_id", "events", ["person_id"])
    op.create_table(
        "feed",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feed_id", sa.String(length=36), nullable=False),
        sa.Column("compacted_through", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed"),
    )
    op.create_table(
        "persons",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sorted_text(600), nullable=False),
        sa.Column("sort_key", sorted_text(300), nullable=False),
        sa.Column("notes", sa.String(length=4000), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        sa.Column("last_seen_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_persons"),
        sa.UniqueConstraint("request_id", name="uq_persons_request_id"),
    )
    op.create_index("ix_persons_sort_key_id", "persons", ["sort_key", "id"])
    op.create_table(
        "sightings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("unknown_id", sa.String(length=36), nullable=True),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("margin", sa.Double(), nullable=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("box", sa.JSON(), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("crop_blob_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sightings"),
    )
    op.create_index(
        "ix_sightings_camera_id_started_at_id", "sightings", ["camera_id", "started_at", "id"]
    )
    op.create_index("ix_sightings_crop_blob_id", "sightings", ["crop_blob_id"])
    op.create_index("ix_sightings_ended_at_id", "sightings", ["ended_at", "id"])
    op.create_index(
        "ix_sightings_person_id_started_at_id", "sightings", ["person_id", "started_at", "id"]
    )
    op.create_index("ix_sightings_started_at_id", "sightings", ["started_at", "id"])
    op.create_table(
        "worker_sessions",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_worker_sessions"),
    )
    op.create_index("ix_worker_sessions_camera_id", "worker_sessions", ["camera_id"])
    op.create_table(
        "camera_runtime",
        sa.Column("camera_id", sa.String(length=36), nullable=False),
        sa.Column("pod_name", sa.String(length=253), nullable=False),
        sa.Column("worker_status", sa.String(length=16), nullable=False),
        sa.Column("health_status", sa.String(length=16), nullable=False),
        sa.Column("failure_reason", sa.String(length=32), nullable=False),
        sa.Column("error_count", sa.BigInteger(), nullable=False),
        sa.Column("next_retry_at", MOMENT, nullable=True),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False),
        sa.Column("health_info", sa.JSON(), nullable=False),
        sa.Column("last_heartbeat", MOMENT, nullable=True),
        sa.Column("last_contact", MOMENT, nullable=True),
        sa.Column("last_sign_at", MOMENT, nullable=True),
        sa.Column("announced_at", MOMENT, nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=True),
        sa.Column("heard_epoch", sa.Integer(), nullable=False),
        sa.Column("retry_counter", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["camera_id"],
            ["cameras.id"],
            name="fk_camera_runtime_camera_id_cameras",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("camera_id", name="pk_camera_runtime"),
    )
    op.create_table(
        "faces",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("pack_id", sa.String(length=64), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("portrait_blob_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name="fk_faces_person_id_persons", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_faces"),
    )
    op.create_index("ix_faces_pack_id_id", "faces", ["pack_id", "id"])
    op.create_index("ix_faces_person_id_revision", "faces", ["person_id", "revision"])
    op.create_index("ix_faces_portrait_blob_id", "faces", ["portrait_blob_id"])
    op.create_index("ix_faces_pack_id_revision", "faces", ["pack_id", "revision"])
    op.create_table(
        "sighting_candidates",
        sa.Column("sighting_id", sa.String(length=36), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("face_id", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sighting_id"],
            ["sightings.id"],
            name="fk_sighting_candidates_sighting_id_sightings",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sighting_id", "rank", name="pk_sighting_candidates"),
    )
    op.create_index("ix_sighting_candidates_person_id", "sighting_candidates", ["person_id"])
    op.create_table(
        "embeddings",
        sa.Column("face_id", sa.String(length=36), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["face_id"], ["faces.id"], name="fk_embeddings_face_id_faces", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("face_id", name="pk_embeddings"),
    )
    feed = sa.table("feed", sa.column("id"), sa.column("feed_id"), sa.column("compacted_through"))
    op.bulk_insert(feed, [{"id": 1, "feed_id": str(uuid.uuid4()), "compacted_through": 0}])


def downgrade() -> None:
    op.drop_table("embeddings")
    op.drop_table("sighting_candidates")
    op.drop_table("faces")
    op.drop_table("camera_runtime")
    op.drop_table("worker_sessions")
    op.drop_table("sightings")
    op.drop_table("persons")
    op.drop_table("feed")
    op.drop_table("events")
    op.drop_table("erasure_receipts")
    op.drop_table("cameras")
    op.drop_table("blob_removals")
