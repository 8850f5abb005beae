"""What was deleted and must not come back."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select, update

from core.ids import StreamId
from warehouse.control import models
from warehouse.control.database import Database, table
from warehouse.control.rows import Tombstone

TOMBSTONES = table(models.Tombstone)


class Tombstones(Database):
    """Tombstones of streams."""

    def tombstones(self, among: Collection[StreamId] | None = None) -> frozenset[StreamId]:
        """Deleted streams; of these only, when given."""
        statement = select(TOMBSTONES.c.stream_id)
        if among is not None:
            statement = statement.where(TOMBSTONES.c.stream_id.in_(among))
        with self._reading() as connection:
            return frozenset(StreamId(row.stream_id) for row in connection.execute(statement))

    def unswept(self, deleted_before_ms: int, limit: int = 100) -> list[Tombstone]:
        """Streams deleted before then, whose stores have not been swept since; the oldest first."""
        statement = (
            select(TOMBSTONES)
            .where(TOMBSTONES.c.swept_ms.is_(None), TOMBSTONES.c.deleted_ms < deleted_before_ms)
            .order_by(TOMBSTONES.c.deleted_ms)
            .limit(limit)
        )
        with self._reading() as connection:
            return [Tombstone(StreamId(r.stream_id), r.deleted_ms, r.swept_ms) for r in connection.execute(statement)]

    def mark_swept(self, stream_id: StreamId, deleted_ms: int) -> None:
        """The stores were swept of this stream, which was deleted then; nothing if it is to be swept again since."""
        with self._writing() as connection:
            connection.execute(
                update(TOMBSTONES)
                .where(TOMBSTONES.c.stream_id == stream_id, TOMBSTONES.c.deleted_ms == deleted_ms)
                .values(swept_ms=self._now())
            )

    def sweep_again(self, streams: Collection[StreamId]) -> None:
        """The stores are to be swept of these deleted streams as if they had been deleted now."""
        with self._writing() as connection:
            connection.execute(
                update(TOMBSTONES)
                .where(TOMBSTONES.c.stream_id.in_(streams))
                .values(swept_ms=None, deleted_ms=self._now())
            )

    def forget_tombstones(self, deleted_before_ms: int) -> int:
        """Drop swept tombstones older than anything that Kafka keeps; returns how many."""
        with self._writing() as connection:
            result = connection.execute(
                delete(TOMBSTONES).where(
                    TOMBSTONES.c.swept_ms.is_not(None), TOMBSTONES.c.deleted_ms < deleted_before_ms
                )
            )
            return int(result.rowcount)
