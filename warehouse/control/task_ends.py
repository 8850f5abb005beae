"""Deferred tasks whose end is still to be told."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from core.ids import StreamId
from warehouse.control import models
from warehouse.control.codec import RUNS, STREAMS
from warehouse.control.database import Database, table
from warehouse.control.receipts import EXPECTED

TASK_ENDS, RECEIPTS = table(models.TaskEnd), table(models.Receipt)
TAKEN_MS = 10_000


class TaskEnds(Database):
    """Ends of tasks, each taken by one process at a time."""

    def ended_tasks(self, limit: int) -> list[StreamId]:
        """Tasks that are over, whose end is not told and that nobody has taken; the eldest first.

        `ControlStore.task_state` says what has become of each.
        """
        receipts = (
            select(func.count())
            .select_from(RECEIPTS)
            .where(RECEIPTS.c.stream_id == RUNS.c.stream_id, RECEIPTS.c.run == RUNS.c.run)
            .scalar_subquery()
        )
        over = or_(
            RUNS.c.state.in_(("failure", "stop")),
            and_(RUNS.c.state.in_(("done", "pending")), STREAMS.c.desired == "stop"),
            and_(RUNS.c.state == "done", receipts >= len(EXPECTED)),
        )
        statement = (
            select(STREAMS.c.stream_id)
            .select_from(TASK_ENDS)
            .join(STREAMS, STREAMS.c.stream_id == TASK_ENDS.c.stream_id)
            .join(RUNS, and_(RUNS.c.stream_id == STREAMS.c.stream_id, RUNS.c.run == STREAMS.c.run))
            .where(TASK_ENDS.c.taken_until_ms <= self._now(), over)
            .order_by(STREAMS.c.created_ms)
            .limit(limit)
        )
        with self._reading() as connection:
            return [StreamId(row.stream_id) for row in connection.execute(statement)]

    def take_task_end(self, stream_id: StreamId) -> bool:
        """Whether the caller is to tell of it; nobody else is for ten seconds."""
        now = self._now()
        with self._writing() as connection:
            taken = connection.execute(
                update(TASK_ENDS)
                .where(TASK_ENDS.c.stream_id == stream_id, TASK_ENDS.c.taken_until_ms <= now)
                .values(taken_until_ms=now + TAKEN_MS)
            )
            return bool(taken.rowcount == 1)

    def forget_task_ends(self, streams: Sequence[StreamId]) -> None:
        """These are told."""
        with self._writing() as connection:
            connection.execute(delete(TASK_ENDS).where(TASK_ENDS.c.stream_id.in_(streams)))


def await_end(connection: Connection, stream_id: StreamId) -> None:
    """A task has begun whose end is to be told."""
    connection.execute(insert(TASK_ENDS).values(stream_id=stream_id, taken_until_ms=0))
