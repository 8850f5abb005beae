"""Runs the migrations on the connection that `warehouse.control.schema` passes in."""

from __future__ import annotations

from alembic import context

from warehouse.control.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
