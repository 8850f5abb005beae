"""Logs of streams, what streams are searched by and restarted for, and the installation's own id."""

from __future__ import annotations

import json
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables and columns; streams from before are found by the address that they read."""
    op.create_table(
        "stream_logs",
        sa.Column("id", _big, primary_key=True, autoincrement=True),
        sa.Column("stream_id", sa.Uuid(), sa.ForeignKey("streams.stream_id", ondelete="CASCADE"), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("log_ms", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("frame_ms", sa.BigInteger()),
        sa.Column("analytic_index", sa.Integer()),
    )
    op.create_index("stream_logs_by_stream", "stream_logs", ["stream_id", "id"])
    op.create_index("stream_logs_by_time", "stream_logs", ["log_ms"])
    op.add_column("runs", sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("attempt_ms", sa.BigInteger()))
    op.add_column("runs", sa.Column("paused", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("runs", sa.Column("frame_ms", sa.BigInteger()))
    op.add_column("streams", sa.Column("reference", sa.Text(), nullable=False, server_default=""))
    op.add_column("streams", sa.Column("source", sa.Text()))
    op.add_column("streams", sa.Column("event_source_group", sa.Text()))
    _fill_references()
    properties = op.create_table(
        "properties",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.bulk_insert(properties, [{"name": "agent_id", "value": str(uuid4())}])


def _fill_references() -> None:
    streams = sa.table(
        "streams",
        sa.column("stream_id", sa.Uuid()),
        sa.column("spec", sa.Text()),
        sa.column("reference", sa.Text()),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(streams.c.stream_id, streams.c.spec)).all():
        values = {"reference": json.loads(row.spec)["source"]["url"]}
        connection.execute(streams.update().where(streams.c.stream_id == row.stream_id).values(**values))


def downgrade() -> None:
    """Drop them."""
    op.drop_table("properties")
    for name in ("event_source_group", "source", "reference"):
        op.drop_column("streams", name)
    for name in ("frame_ms", "paused", "attempt_ms", "attempt"):
        op.drop_column("runs", name)
    op.drop_table("stream_logs")
