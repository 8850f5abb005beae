"""Alembic's migrations, run from the installed package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from core.errors import ConfigError

LOCK = 0x5167_4C69


def upgrade(connection: Connection) -> None:
    """Bring the schema to its newest version within the connection's transaction.

    Raises:
        ConfigError: the database is at a version that this one does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(f"control database: {error}; it may be of a newer version of Sightline") from error
