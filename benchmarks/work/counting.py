"""A stage that does nothing with its records: what delivery by Faust, and commits, cost.

Ends once it has had as many as it is told; measures itself from the first record to the last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import child
from core.settings import Settings
from core.topics import Topics
from streams_proc.assemble import work
from streams_proc.stage import Outcome, Record, StatelessStage

PATIENCE_S = 120.0


class Counting:
    """Counts records and gives no output."""

    def __init__(self, count: int, stopping: asyncio.Event) -> None:
        self._left = count
        self._stopping = stopping
        self.begun = self.ended = self.cpu_s = 0.0

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Nothing for each."""
        if not self.begun:
            self.begun, self.cpu_s = time.perf_counter(), -time.process_time()
        self._left -= len(records)
        if self._left <= 0 and not self.ended:
            self.ended = time.perf_counter()
            self.cpu_s += time.process_time()
            self._stopping.set()
        return [()] * len(records)


def make(setup: dict[str, Any]) -> tuple[child.Answer, Mapping[str, Any]]:
    """`setup` has the ``settings``; a question the ``count``. One question for each process."""
    settings = Settings(**setup["settings"])
    topics = Topics.of(settings.kafka)

    async def count(number: int) -> Counting:
        stopping = asyncio.Event()
        handler = Counting(number, stopping)
        stage = StatelessStage("counting", (topics.frames_batch,), handler, batch=8, linger_s=0.01, in_flight=2)
        async with asyncio.timeout(PATIENCE_S):
            await work(settings, stage, stopping)
        return handler

    def answer(question: dict[str, Any]) -> Mapping[str, Any]:
        done = asyncio.run(count(int(question["count"])))
        return {"items": question["count"], "seconds": done.ended - done.begun, "cpu_s": done.cpu_s}

    return answer, {}


if __name__ == "__main__":
    child.serve(make)
