"""Runs whose ingest host is gone, and that no other host has taken over: it is said that they are lost.

A host dies without a word, so its silence is what tells. The silence is counted here, by this process's own steady
clock, and only while the broker answers: one that was away has kept every host silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from core import log
from core.clock import now_ms
from core.ids import Run, StreamId
from core.messages import StreamStatus, encode_json
from streams_proc.attempt import Backoff, attempt
from streams_proc.publish import Publisher, Tally
from streams_proc.stage import Output
from warehouse.control.nodes import NodeRow
from warehouse.control.rows import RunRow

EVERY_S = 2.0
LOST_S = 15.0
"""As long as streams may take to move to another host."""
_log = log.get(__name__)


class Register(Protocol):
    """The part of the control store that knows hosts and what they read. Blocking."""

    def nodes(self) -> Sequence[NodeRow]:
        """Every host as last heard of."""
        ...

    def held_runs(self) -> Sequence[RunRow]:
        """Current runs that a host has begun and not ended."""
        ...


class LostHosts:
    """Tells `handler_lost` of each run of a host that has been silent for too long.

    Args:
        topic: of the states of streams.
        answers: whether the broker does, now. Blocking.
        steady_s: a clock that is never set.
    """

    def __init__(
        self,
        register: Register,
        publisher: Publisher,
        topic: str,
        answers: Callable[[], bool],
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._register = register
        self._publisher = publisher
        self._topic = topic
        self._answers = answers
        self._steady_s = steady_s
        self._reachable_s: float | None = None
        self._heard: dict[str, tuple[int, float]] = {}
        self._told: dict[tuple[StreamId, Run], int] = {}

    async def once(self) -> None:
        """Look at all hosts, and tell what is lost. Raises StoreUnavailable, BrokerUnavailable."""
        lost = await asyncio.to_thread(self._lost)
        if not lost:
            return
        tally = Tally()
        for row in lost:
            _log.warning("the host of a stream is gone", stream_id=str(row.stream_id), run=int(row.run), host=row.host)
            status = encode_json(_status(row))
            await self._publisher.send(Output(self._topic, str(row.stream_id).encode(), status), tally)
        await tally.confirmed()
        self._told.update({(row.stream_id, row.run): row.updated_ms for row in lost})

    async def run(self, backoff: Backoff) -> None:
        """Look for ever; a store or broker that does not answer is waited for."""
        while True:
            await backoff.sleep(EVERY_S)
            await attempt(self.once, "control", backoff=backoff)

    def _lost(self) -> list[RunRow]:
        if not self._answers():
            self._reachable_s = None
            return []
        now = self._steady_s()
        if self._reachable_s is None:
            self._reachable_s, self._told = now, {}
        silent = {node.status.host for node in self._register.nodes() if self._silence_s(node, now) >= LOST_S}
        held = self._register.held_runs() if silent else []
        # what was told of may not be written down yet
        return [
            row for row in held if row.host in silent and self._told.get((row.stream_id, row.run)) != row.updated_ms
        ]

    def _silence_s(self, node: NodeRow, now: float) -> float:
        """For how long nothing new has come from a host that could have come."""
        before = self._heard.get(node.status.host)
        if before is None or before[0] != node.heard_ms:
            self._heard[node.status.host] = (node.heard_ms, now)
        assert self._reachable_s is not None
        return now - max(self._reachable_s, self._heard[node.status.host][1])


def _status(row: RunRow) -> StreamStatus:
    """What is known of the run stays as it is."""
    return StreamStatus(
        row.stream_id,
        row.run,
        "handler_lost",
        max(now_ms(), row.updated_ms + 1),
        row.host,
        row.counts,
        error=f"the ingest host {row.host} is gone, and no other has taken the stream over",
        attempt=row.attempt,
        paused=row.paused,
    )
