"""What ingest says about its runs, into the control database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from core.errors import NotFound
from core.messages import StreamStatus, decode_status
from streams_proc.outcomes import decode_each
from streams_proc.stage import Outcome, Poison, Record


class Runs(Protocol):
    """The part of the control store that keeps runs. Blocking."""

    def record_status(self, status: StreamStatus) -> Any:
        """Take note; an older status than the newest changes nothing."""
        ...


class StatusHandler:
    """Writes states and counts of runs, in order."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Nothing is published. Raises StoreUnavailable."""
        messages = decode_each(records, lambda record: decode_status(record.value))
        await asyncio.to_thread(self._record, [m for m in messages if isinstance(m, StreamStatus)])
        return [message if isinstance(message, Poison) else () for message in messages]

    def _record(self, statuses: list[StreamStatus]) -> None:
        for status in _newest_heartbeats(statuses):
            try:
                self._runs.record_status(status)
            except NotFound:  # the stream has been deleted
                continue


def _newest_heartbeats(statuses: list[StreamStatus]) -> list[StreamStatus]:
    """Without heartbeats that a later status of the same run makes old."""
    kept: list[StreamStatus] = []
    later: set[tuple[object, int]] = set()
    for status in reversed(statuses):
        run = (status.stream_id, int(status.run))
        if not (status.heartbeat and run in later):
            kept.append(status)
        later.add(run)
    return kept[::-1]
