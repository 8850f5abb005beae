"""Deferred tasks whose end is still to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; tasks from before have nobody to tell."""
    op.create_table(
        "task_ends",
        sa.Column("stream_id", sa.Uuid(), sa.ForeignKey("streams.stream_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("taken_until_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("task_ends")
