"""The check-in with a key pair; nothing is locked without one."""

from __future__ import annotations

import hmac
from uuid import uuid4

import msgspec
from sqlalchemy import insert, select

from core.secrets import hash_secret
from warehouse.control import models
from warehouse.control.configuration import read, write
from warehouse.control.database import Database, table

KEYS = table(models.CheckinKey)
LASTS_MS = 365 * 86_400_000


class Checkin(msgspec.Struct, frozen=True, omit_defaults=True):
    """The check-in that holds; `access_key` is empty while there is none."""

    access_key: str = ""
    at_ms: int = 0
    expires_ms: int = 0


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What names this installation; empty until its first check-in."""

    key: str = ""


class Checkins(Database):
    """Key pairs, and the check-in."""

    def add_checkin_key(self, access_key: str, secret_hash: str) -> None:
        """Accept a key pair.

        Args:
            secret_hash: as `hash_secret` makes it.

        Raises:
            Conflict: there is one with this access key.
        """
        with self._writing() as connection:
            connection.execute(
                insert(KEYS).values(access_key=access_key, secret_hash=secret_hash, created_ms=self._now())
            )

    def check_in(self, access_key: str, secret: str) -> Checkin | None:
        """Check in for a year; None for a pair that was not issued."""
        with self._writing() as connection:
            known = connection.execute(select(KEYS.c.secret_hash).where(KEYS.c.access_key == access_key)).scalar()
            if not hmac.compare_digest(hash_secret(secret).encode(), (known or "").encode()):
                return None
            now = self._now()
            made = Checkin(access_key, now, now + LASTS_MS)
            write(connection, "checkin", made, now)
            if not read(connection, "deployment", Deployment, lock=True).key:
                write(connection, "deployment", Deployment(f"sightline-{uuid4().hex[:12]}"), now)
        return made

    def checkin(self) -> Checkin:
        """The check-in that was made last, however long ago."""
        with self._reading() as connection:
            return read(connection, "checkin", Checkin)

    def clear_checkin(self) -> None:
        """Forget it; the key pair stays good."""
        with self._writing() as connection:
            write(connection, "checkin", Checkin(), self._now())

    def deployment_key(self) -> str:
        """What names this installation; empty until its first check-in."""
        with self._reading() as connection:
            return read(connection, "deployment", Deployment).key
