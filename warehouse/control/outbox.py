"""Records that wait to be published, taken by one process at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete, select, update

from warehouse.control import models
from warehouse.control.database import Database, table
from warehouse.control.rows import OutboxRow

OUTBOX, CHANGES, LEASES = table(models.Outbox), table(models.StreamChange), table(models.Lease)
_FIRST = {waiting: select(waiting.c.id).limit(1) for waiting in (OUTBOX, CHANGES)}
"""Asked five times a second each; to build such a question costs as much as the answer."""
LEASE = "outbox"
LEASE_MS = 5000


class Outbox(Database):
    """What is to be published: definitions to the topic `streams`, changes of streams to `stream-changes`."""

    def take_outbox(self, limit: int) -> list[OutboxRow]:
        """The oldest definitions, in order; none while another process is publishing.

        Whoever takes has five seconds to publish and `delete_outbox` before another may take the
        same; taking again prolongs it. Records that were published but not deleted come again.
        """
        return self._take(OUTBOX, limit)

    def delete_outbox(self, ids: Sequence[int]) -> None:
        """Forget definitions whose publishing was acknowledged."""
        self._delete(OUTBOX, ids)

    def take_changes(self, limit: int) -> list[OutboxRow]:
        """The oldest changes, as `take_outbox` takes definitions."""
        return self._take(CHANGES, limit)

    def delete_changes(self, ids: Sequence[int]) -> None:
        """Forget changes whose publishing was acknowledged."""
        self._delete(CHANGES, ids)

    def _take(self, waiting: Table, limit: int) -> list[OutboxRow]:
        with self._reading() as connection:
            if connection.execute(_FIRST[waiting]).first() is None:
                return []
        with self._writing() as connection:
            if not self._hold(connection):
                return []
            rows = connection.execute(
                select(waiting.c.id, waiting.c.key, waiting.c.value).order_by(waiting.c.id).limit(limit)
            )
            return [OutboxRow(row.id, row.key, row.value) for row in rows]

    def _delete(self, waiting: Table, ids: Sequence[int]) -> None:
        with self._writing() as connection:
            for at in range(0, len(ids), 500):
                connection.execute(delete(waiting).where(waiting.c.id.in_(ids[at : at + 500])))

    def _hold(self, connection: Connection) -> bool:
        now = self._now()
        held = connection.execute(select(LEASES).where(LEASES.c.name == LEASE).with_for_update()).one()
        if held.holder != self._holder and held.until_ms > now:
            return False
        connection.execute(
            update(LEASES).where(LEASES.c.name == LEASE).values(holder=self._holder, until_ms=now + LEASE_MS)
        )
        return True
