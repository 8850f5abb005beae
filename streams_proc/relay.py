"""The control database's outbox, to a topic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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


class Outbox(Protocol):
    """The part of the control store that holds what is to be published. Blocking."""

    def take_outbox(self, limit: int, topic: str) -> Sequence[OutboxRow]:
        """The oldest records that are for the topic, whose name is without the prefix."""
        ...

    def delete_outbox(self, ids: Sequence[int]) -> None:
        """They have been published."""
        ...


class Relay:
    """Publishes the outbox in its order; a row goes only after the broker has acknowledged it.

    Args:
        name: of the topic in the outbox; topic: with the prefix.
    """

    def __init__(self, outbox: Outbox, publisher: Publisher, name: str, topic: str) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._name = name
        self._topic = topic

    async def once(self) -> int:
        """Publish what waits, at most 100 rows; returns how many."""
        rows = await asyncio.to_thread(self._outbox.take_outbox, AT_ONCE, self._name)
        if not rows:
            return 0
        tally = Tally()
        for row in rows:
            await self._publisher.send(Output(self._topic, row.key.encode(), row.value), tally)
        await tally.confirmed()
        await asyncio.to_thread(self._outbox.delete_outbox, [row.id for row in rows])
        return len(rows)

    async def run(self, backoff: Backoff) -> None:
        """Publish for ever; a store or broker that does not answer is waited for."""
        while True:
            if not await attempt(self.once, "control", backoff=backoff):
                await backoff.sleep(EVERY_S)
