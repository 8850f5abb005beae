"""Batches across streams and partitions, the most urgent topic first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from streams_proc.pressure import Pressure
from streams_proc.stage import Record


class Held(NamedTuple):
    """A record and the group's generation that delivered it."""

    generation: int
    record: Record


class Gather:
    """Records that wait, and batches taken from them.

    Args:
        topics: in order of precedence.
    """

    def __init__(self, topics: Sequence[str], pressure: Pressure) -> None:
        self._waiting: dict[str, deque[Held]] = {topic: deque() for topic in topics}
        self._pressure = pressure
        self._changed = asyncio.Event()
        self._count = 0
        self._closed = False

    def put(self, held: Held) -> None:
        """One more record waits."""
        self._waiting[held.record.topic].append(held)
        self._pressure.add(held.record)
        self._count += 1
        self._changed.set()

    def close(self) -> None:
        """No batch will be taken any more; what waits comes again after a restart."""
        self._closed = True
        self._changed.set()

    def drop(self) -> None:
        """Nothing that waits is wanted any more."""
        self._pop(self._count)

    async def take(self, most: int, linger_s: float = 0.0, wait_s: float | None = None) -> list[Held] | None:
        """At most `most` records; fewer once `linger_s` has passed since the first was there.

        None after `close`, and empty when `wait_s` has passed without a record.
        """
        await self._until(1, wait_s)
        if 0 < self._count < most and linger_s > 0:
            await self._until(most, linger_s)
        return None if self._closed else self._pop(most)

    async def _until(self, count: int, within_s: float | None) -> None:
        try:
            async with asyncio.timeout(within_s):
                while self._count < count and not self._closed:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _pop(self, most: int) -> list[Held]:
        taken: list[Held] = []
        for waiting in self._waiting.values():
            while waiting and len(taken) < most:
                taken.append(waiting.popleft())
        for held in taken:
            self._pressure.remove(held.record)
        self._count -= len(taken)
        return taken
