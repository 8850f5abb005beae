"""Who this installation is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from warehouse.control import models
from warehouse.control.database import Database, table

PROPERTIES = table(models.Property)


class Identity(Database):
    """What there is one of."""

    def agent_id(self) -> UUID:
        """The id that was given to the installation when its database was made; it never changes."""
        with self._reading() as connection:
            found = connection.execute(select(PROPERTIES.c.value).where(PROPERTIES.c.name == "agent_id"))
            return UUID(found.scalar_one())
