"""Streams, runs, receipts, tombstones, the outbox and uploads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "streams",
        sa.Column("stream_id", sa.Uuid(), primary_key=True),
        sa.Column("engine_id", sa.String(16), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("task", sa.Boolean(), nullable=False),
        sa.Column("ephemeral", sa.Boolean(), nullable=False),
        sa.Column("desired", sa.String(8), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("media_key", sa.Text()),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("streams_by_time", "streams", ["created_ms", "stream_id"])
    op.create_index("streams_by_account", "streams", ["account_id"])
    op.create_index("streams_by_media", "streams", ["media_key"])
    op.create_table(
        "runs",
        sa.Column("stream_id", sa.Uuid(), sa.ForeignKey("streams.stream_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("run", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("status_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger()),
        sa.Column("ended_ms", sa.BigInteger()),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("video", sa.Text()),
        sa.Column("problems", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("total_frames", sa.BigInteger()),
        sa.Column("last_media_s", sa.Float(53)),
    )
    op.create_table(
        "receipts",
        sa.Column("stream_id", sa.Uuid(), primary_key=True),
        sa.Column("run", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sink", sa.String(64), primary_key=True),
        sa.Column("topic", sa.String(64), primary_key=True),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id", "run"], ["runs.stream_id", "runs.run"], ondelete="CASCADE"),
    )
    op.create_table(
        "tombstones",
        sa.Column("stream_id", sa.Uuid(), primary_key=True),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=False),
        sa.Column("swept_ms", sa.BigInteger()),
    )
    op.create_index("ix_tombstones_deleted_ms", "tombstones", ["deleted_ms"])
    op.create_table(
        "outbox",
        sa.Column("id", _big, primary_key=True, autoincrement=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
    )
    leases = op.create_table(
        "leases",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(leases, [{"name": "outbox", "holder": "", "until_ms": 0}])
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("media_key", sa.Text()),
    )
    op.create_index("uploads_by_time", "uploads", ["created_ms", "upload_id"])


def downgrade() -> None:
    """Drop everything."""
    for name in ("uploads", "leases", "outbox", "tombstones", "receipts", "runs", "streams"):
        op.drop_table(name)
