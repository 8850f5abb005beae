"""The secrets that signed tokens are made with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; the first key is made when it is needed."""
    op.create_table(
        "signing_keys",
        sa.Column("key_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop it: tokens that are out stop being good."""
    op.drop_table("signing_keys")
