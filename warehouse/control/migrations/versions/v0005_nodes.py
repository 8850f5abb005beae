"""Nodes and where each stream was registered, configuration, and key pairs for the check-in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; streams from before were registered at the first node.

    What is configured has its rows from the start, so that whoever changes it can lock them.
    """
    op.add_column("streams", sa.Column("node_num", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("streams_by_node", "streams", ["node_num"])
    op.create_table(
        "nodes",
        sa.Column("node_num", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("host", sa.Text(), nullable=False, unique=True),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
    )
    configuration = op.create_table(
        "configuration",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
    )
    names = ("platform", "database", "workers", "checkin", "deployment")
    op.bulk_insert(configuration, [{"name": name, "value": "{}", "updated_ms": 0} for name in names])
    op.create_table(
        "checkin_keys",
        sa.Column("access_key", sa.String(128), primary_key=True),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("checkin_keys", "configuration", "nodes"):
        op.drop_table(name)
    op.drop_index("streams_by_node", "streams")
    op.drop_column("streams", "node_num")
