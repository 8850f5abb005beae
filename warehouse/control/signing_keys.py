"""The secret that signed tokens are made with, one for all workers."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, select

from warehouse.control import models
from warehouse.control.database import Database, insert_new, table
from warehouse.control.rows import SigningKey

KEYS = table(models.SigningKey)
SECRET_BYTES = 32
FIRST = 1


class SigningKeys(Database):
    """Signing keys."""

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Every key, the newest first; the first one is made by whoever asks first, and found by all others."""
        with self._reading() as connection:
            found = _keys(connection)
        if found:
            return found
        with self._writing() as connection:
            secret = secrets.token_bytes(SECRET_BYTES)
            insert_new(connection, models.SigningKey, key_id=FIRST, secret=secret, created_ms=self._now())
            return _keys(connection)


def _keys(connection: Connection) -> tuple[SigningKey, ...]:
    rows = connection.execute(select(KEYS.c.key_id, KEYS.c.secret).order_by(KEYS.c.key_id.desc()))
    return tuple(SigningKey(row.key_id, bytes(row.secret)) for row in rows)
