"""Checking that every frame of every finished run is accounted for; the alarm when one is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from core import log
from core.ids import Run, StreamId
from core.messages import IngestCounts
from core.metrics import gauge
from streams_proc.attempt import Backoff, attempt
from warehouse.ledger import differences, imbalance
from warehouse.rows import FrameCounts

EVERY_S = 5.0
AGAIN_EVERY = 12
"""Every so many turns what did not sum is looked at again: a store that was mended ends its alarm."""
_log = log.get(__name__)


class RunRow(Protocol):
    """A finished run."""

    @property
    def stream_id(self) -> StreamId:
        """Its stream."""
        ...

    @property
    def run(self) -> Run:
        """Its number."""
        ...

    @property
    def counts(self) -> IngestCounts:
        """What ingest has counted."""
        ...

    @property
    def imbalance(self) -> int | None:
        """What was found the last time."""
        ...


class Runs(Protocol):
    """The part of the control store that keeps what was found. Blocking."""

    def unaudited(self, limit: int = 100, *, again: bool = False) -> Sequence[RunRow]:
        """Finished runs to be checked."""
        ...

    def record_audit(self, stream_id: StreamId, run: Run, imbalance: int) -> None:
        """Write down what was found."""
        ...

    def total_imbalance(self) -> int:
        """Over all runs."""
        ...


class Audit:
    """Holds each finished run's counts against the frames that arrived.

    What was found is kept with the run, so an alarm outlives a restart, and ends when the ledger
    sums after all or the run is removed.

    Args:
        stored: frames of a run in ClickHouse. Raises StoreUnavailable.
    """

    def __init__(self, runs: Runs, stored: Callable[[StreamId, Run], FrameCounts]) -> None:
        self._runs = runs
        self._stored = stored
        self._turns = 0

    def audit(self) -> None:
        """Check what is due, and show what all runs together are off by. Raises StoreUnavailable."""
        again = self._turns % AGAIN_EVERY == 0
        for row in self._runs.unaudited(again=again):
            self._check(row)
        self._turns += 1
        gauge("sightline_ledger_imbalance").set(self._runs.total_imbalance())

    def _check(self, row: RunRow) -> None:
        stored = self._stored(row.stream_id, row.run)
        found = differences(row.counts, stored, finished=True)
        frames = imbalance(found)
        if frames == row.imbalance:
            return
        self._runs.record_audit(row.stream_id, row.run, frames)
        name = {"stream_id": str(row.stream_id), "run": row.run}
        if frames:
            said = "; ".join(map(str, found))
            _log.error("the ledger does not sum", **name, frames=frames, reason=said, counts=repr((row.counts, stored)))
        elif row.imbalance is not None:
            _log.info("the ledger sums again", **name)

    async def run(self, backoff: Backoff) -> None:
        """Check for ever; a store that does not answer is waited for."""
        while True:
            await attempt(lambda: asyncio.to_thread(self.audit), "control", backoff=backoff)
            await backoff.sleep(EVERY_S)
