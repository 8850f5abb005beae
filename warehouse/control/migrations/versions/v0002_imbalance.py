"""What was found when a finished run's ledger was checked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; runs from before are checked like new ones."""
    op.add_column("runs", sa.Column("imbalance", sa.BigInteger()))
    op.create_index("runs_by_imbalance", "runs", ["imbalance"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("runs_by_imbalance", "runs")
    op.drop_column("runs", "imbalance")
