"""The topic of what waits to be published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what waits already are definitions."""
    op.add_column("outbox", sa.Column("topic", sa.String(32), nullable=False, server_default="streams"))


def downgrade() -> None:
    """Drop it, and what only the column tells from definitions."""
    op.execute("DELETE FROM outbox WHERE topic <> 'streams'")
    op.drop_column("outbox", "topic")
