"""Batches across streams and partitions, in the order in which records came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
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
        closes: whether a record is one after which nobody lingers for more.
    """

    def __init__(self, pressure: Pressure, closes: Callable[[Record], bool] = lambda record: False) -> None:
        self._waiting: deque[Held] = deque()
        self._pressure = pressure
        self._closes = closes
        self._closing = 0  # of those that wait
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, held: Held) -> None:
        """One more record waits."""
        self._waiting.append(held)
        self._pressure.add(held.record)
        self._closing += self._closes(held.record)
        self._changed.set()

    def close(self) -> None:
        """No batch will be taken any more; what waits comes again after a restart."""
        self._closed = True
        self._changed.set()

    def drop(self) -> None:
        """Nothing that waits is wanted any more."""
        self._pop(len(self._waiting))

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    async def wait(self) -> None:
        """Until a record waits, or nothing will be taken any more."""
        await self._until(1, None)

    async def take(self, most: int, linger_s: float = 0.0, wait_s: float | None = None) -> list[Held] | None:
        """At most `most` records; fewer once `linger_s` has passed since the first was there.

        Nobody lingers once a record that closes waits, or no more is fetched.
        None after `close`, and empty when `wait_s` has passed without a record.
        """
        await self._until(1, wait_s)
        if self._waiting and linger_s > 0:
            await self._until(most, linger_s, lambda: self._closing > 0 or self._pressure.holding)
        return None if self._closed else self._pop(most)

    async def _until(self, count: int, within_s: float | None, enough: Callable[[], bool] = lambda: False) -> None:
        try:
            async with asyncio.timeout(within_s):
                while len(self._waiting) < count and not self._closed and not enough():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _pop(self, most: int) -> list[Held]:
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        for held in taken:
            self._pressure.remove(held.record)
            self._closing -= self._closes(held.record)
        return taken
