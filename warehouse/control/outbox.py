"""Records that wait to be published, taken by one process at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from warehouse.control import models
from warehouse.control.database import Database, table
from warehouse.control.rows import OutboxRow

OUTBOX, LEASES = table(models.Outbox), table(models.Lease)
LEASE = "outbox"
LEASE_MS = 5000


class Outbox(Database):
    """What is to be published to one topic or another, by its name without the prefix."""

    def take_outbox(self, limit: int, topic: str = "streams") -> list[OutboxRow]:
        """The topic's oldest records, in order; none while another process is publishing.

        Whoever takes has five seconds to publish and `delete_outbox` before another may take the
        same; taking again prolongs it. Records that were published but not deleted come again.
        """
        with self._reading() as connection:
            if connection.execute(select(OUTBOX.c.id).where(OUTBOX.c.topic == topic).limit(1)).first() is None:
                return []
        with self._writing() as connection:
            if not self._hold(connection):
                return []
            rows = connection.execute(
                select(OUTBOX.c.id, OUTBOX.c.key, OUTBOX.c.value)
                .where(OUTBOX.c.topic == topic)
                .order_by(OUTBOX.c.id)
                .limit(limit)
            )
            return [OutboxRow(row.id, row.key, row.value) for row in rows]

    def delete_outbox(self, ids: Sequence[int]) -> None:
        """Forget records whose publishing was acknowledged."""
        with self._writing() as connection:
            for at in range(0, len(ids), 500):
                connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids[at : at + 500])))

    def _hold(self, connection: Connection) -> bool:
        now = self._now()
        held = connection.execute(select(LEASES).where(LEASES.c.name == LEASE).with_for_update()).one()
        if held.holder != self._holder and held.until_ms > now:
            return False
        connection.execute(
            update(LEASES).where(LEASES.c.name == LEASE).values(holder=self._holder, until_ms=now + LEASE_MS)
        )
        return True
