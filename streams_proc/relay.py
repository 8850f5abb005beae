"""What waits in the control database, to its topic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from streams_proc.attempt import Backoff, attempt
from streams_proc.publish import Publisher, Tally
from streams_proc.stage import Output

EVERY_S = 0.2
AT_ONCE = 100


class OutboxRow(Protocol):
    """A record that is to be published."""

    @property
    def id(self) -> int:
        """Order of writing."""
        ...

    @property
    def key(self) -> str:
        """Stream id as text."""
        ...

    @property
    def value(self) -> bytes | None:
        """None deletes the key."""
        ...


class Relay:
    """Publishes what waits in its order; a row goes only after the broker has acknowledged it.

    Args:
        take: the oldest records, at most so many. Blocking.
        forget: they have been published. Blocking.
    """

    def __init__(
        self,
        take: Callable[[int], Sequence[OutboxRow]],
        forget: Callable[[Sequence[int]], None],
        publisher: Publisher,
        topic: str,
    ) -> None:
        self._take = take
        self._forget = forget
        self._publisher = publisher
        self._topic = topic

    async def once(self) -> int:
        """Publish what waits, at most 100 rows; returns how many."""
        rows = await asyncio.to_thread(self._take, AT_ONCE)
        if not rows:
            return 0
        tally = Tally()
        for row in rows:
            await self._publisher.send(Output(self._topic, row.key.encode(), row.value), tally)
        await tally.confirmed()
        await asyncio.to_thread(self._forget, [row.id for row in rows])
        return len(rows)

    async def run(self, backoff: Backoff) -> None:
        """Publish for ever; a store or broker that does not answer is waited for."""
        while True:
            if not await attempt(self.once, "control", backoff=backoff):
                await backoff.sleep(EVERY_S)
