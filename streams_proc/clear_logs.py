"""Removing what the control database need not keep any longer."""

from __future__ import annotations

import asyncio
from typing import Protocol

from core import log
from core.clock import Clock, now_ms, wall_clock
from streams_proc.attempt import Backoff, attempt

EVERY_S = 600.0
DAY_MS = 86_400_000
_log = log.get(__name__)


class StreamLogs(Protocol):
    """The part of the control store that keeps the log of streams. Blocking."""

    def clear_stream_logs(self, before_ms: int | None = None) -> int:
        """Remove older entries, but for each stream's last; how many went."""
        ...


class ClearLogs:
    """Removes old entries of the streams' logs.

    Args:
        days: how long they are kept; 0: for ever.
    """

    def __init__(self, logs: StreamLogs, days: float, clock: Clock = wall_clock) -> None:
        self._logs = logs
        self._days = days
        self._clock = clock

    def clear(self) -> int:
        """Remove what is due; how many entries went. Raises StoreUnavailable."""
        if not self._days:
            return 0
        gone = self._logs.clear_stream_logs(now_ms(self._clock) - int(self._days * DAY_MS))
        if gone:
            _log.info("stream logs cleared", entries=gone)
        return gone

    async def run(self, backoff: Backoff) -> None:
        """Clear for ever; a store that does not answer is waited for."""
        while True:
            await attempt(lambda: asyncio.to_thread(self.clear), "control", backoff=backoff)
            await backoff.sleep(EVERY_S)
