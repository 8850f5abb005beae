"""Runs whose ledgers are to be checked, and what was found."""

from __future__ import annotations

from sqlalchemy import func, or_, select, update

from core.ids import Run, StreamId
from warehouse.control import models
from warehouse.control.codec import RUN_COLUMNS, RUNS, run_row
from warehouse.control.database import Database, table
from warehouse.control.receipts import EXPECTED
from warehouse.control.rows import ENDED, RunRow

RECEIPTS = table(models.Receipt)


class Audits(Database):
    """Checks of finished runs."""

    def unaudited(self, limit: int = 100, *, again: bool = False) -> list[RunRow]:
        """Runs that are finished (ended, all receipts there) and unchecked, the eldest first.

        Args:
            again: those, too, that did not sum when they were checked.
        """
        receipts = (
            select(func.count())
            .select_from(RECEIPTS)
            .where(RECEIPTS.c.stream_id == RUNS.c.stream_id, RECEIPTS.c.run == RUNS.c.run)
            .scalar_subquery()
        )
        due = or_(RUNS.c.imbalance.is_(None), RUNS.c.imbalance > 0) if again else RUNS.c.imbalance.is_(None)
        statement = (
            select(*RUN_COLUMNS)
            .where(due, RUNS.c.state.in_(ENDED), receipts >= len(EXPECTED))
            .order_by(RUNS.c.created_ms)
            .limit(limit)
        )
        with self._reading() as connection:
            return [run_row(row) for row in connection.execute(statement)]

    def record_audit(self, stream_id: StreamId, run: Run, imbalance: int) -> None:
        """Write down by how many frames a run does not sum; nothing for one that is gone."""
        with self._writing() as connection:
            connection.execute(
                update(RUNS).where(RUNS.c.stream_id == stream_id, RUNS.c.run == run).values(imbalance=imbalance)
            )

    def total_imbalance(self) -> int:
        """Frames by which all checked runs together do not sum."""
        with self._reading() as connection:
            found = connection.execute(select(func.sum(RUNS.c.imbalance)).where(RUNS.c.imbalance > 0)).scalar()
        return int(found or 0)
