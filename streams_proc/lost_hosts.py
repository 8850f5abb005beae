"""Runs whose ingest host is gone, and that no other host has taken over: it is said that they are lost.

A host dies without a word, so its silence is what tells: its own, and its run's. Both are counted by this process's own
steady clock from what it has heard itself, and only while the broker answers and nothing holds this process up: whoever
does not listen has kept every host silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from core import log
from core.clock import now_ms
from core.ids import Run, StreamId
from core.messages import StreamStatus, encode_json
from streams_proc.attempt import Backoff, attempt
from streams_proc.publish import Publisher, Tally
from streams_proc.stage import Output
from warehouse.control.rows import RunRow

EVERY_S = 2.0
LOST_S = 20.0
"""More than streams take to move to another host, which speaks of them with their first frame."""

GAP_S = 10.0
"""Between two looks: whoever has not looked for so long begins to count anew."""

Key: TypeAlias = tuple[StreamId, Run]
_log = log.get(__name__)


class Said(NamedTuple):
    """The newest that is known of a run: by whom, and of when."""

    host: str
    updated_ms: int


class Register(Protocol):
    """The part of the control store that knows what hosts read. Blocking."""

    def held_runs(self) -> Sequence[RunRow]:
        """Current runs that a host has begun and not ended."""
        ...


class LostHosts:
    """Tells `handler_lost` of each run that has been silent for too long together with its host.

    Args:
        topic: of the states of streams.
        heard_s: when a host was last heard of, by the steady clock.
        answers: whether the broker does, now. Blocking.
        steady_s: a clock that is never set.
    """

    def __init__(
        self,
        register: Register,
        publisher: Publisher,
        topic: str,
        heard_s: Callable[[str], float],
        answers: Callable[[], bool],
        *,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._register = register
        self._publisher = publisher
        self._topic = topic
        self._heard_s = heard_s
        self._answers = answers
        self._steady_s = steady_s
        self._looked_s = 0.0
        self._since: dict[Key, tuple[Said, float]] = {}
        self._told: dict[Key, Said] = {}

    async def once(self) -> None:
        """Look at all runs, and tell what is lost. Raises StoreUnavailable, BrokerUnavailable."""
        lost = await asyncio.to_thread(self._lost)
        if not lost:
            return
        tally = Tally()
        for row in lost:
            _log.warning("the host of a stream is gone", stream_id=str(row.stream_id), run=int(row.run), host=row.host)
            status = encode_json(_status(row))
            await self._publisher.send(Output(self._topic, str(row.stream_id).encode(), status), tally)
        await tally.confirmed()
        self._told.update({(row.stream_id, row.run): Said(row.host, row.updated_ms) for row in lost})

    async def run(self, backoff: Backoff) -> None:
        """Look for ever; a store or broker that does not answer is waited for."""
        while True:
            await backoff.sleep(EVERY_S)
            await attempt(self.once, "control", backoff=backoff)

    def _lost(self) -> list[RunRow]:
        if not self._answers():
            self._since = {}
            return []
        held = self._register.held_runs()
        now = self._steady_s()
        before = {} if now - self._looked_s > GAP_S else self._since
        self._looked_s, self._since = now, {}
        for row in held:
            key, said = (row.stream_id, row.run), Said(row.host, row.updated_ms)
            known = before.get(key)
            self._since[key] = known if known is not None and known[0] == said else (said, now)
        # what was told of may not be written down yet
        self._told = {key: said for key, said in self._told.items() if self._since.get(key, (None,))[0] == said}
        return [row for row in held if self._silent(row, now)]

    def _silent(self, row: RunRow, now: float) -> bool:
        key = (row.stream_id, row.run)
        since = max(self._since[key][1], self._heard_s(row.host))
        return now - since >= LOST_S and key not in self._told


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
