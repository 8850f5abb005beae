"""Alembic's environment of the control database."""
