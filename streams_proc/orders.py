"""The orders of all workers, from the control database to the topic `nodes`."""

from __future__ import annotations

import asyncio
from typing import Protocol

from core.messages import Orders, encode_json
from core.orders import KEY
from streams_proc.attempt import Backoff, attempt
from streams_proc.publish import Publisher, Tally
from streams_proc.stage import Output

EVERY_S = 1.0


class Desk(Protocol):
    """The part of the control store where orders are given. Blocking."""

    def orders(self) -> Orders:
        """The orders as they stand."""
        ...


class OrderRelay:
    """Publishes the orders when they have changed, and once at its begin."""

    def __init__(self, desk: Desk, publisher: Publisher, topic: str) -> None:
        self._desk = desk
        self._publisher = publisher
        self._topic = topic
        self._told: Orders | None = None

    async def once(self) -> None:
        """Publish what has changed. Raises StoreUnavailable, BrokerUnavailable."""
        orders = await asyncio.to_thread(self._desk.orders)
        if orders == self._told:
            return
        tally = Tally()
        await self._publisher.send(Output(self._topic, KEY, encode_json(orders)), tally)
        await tally.confirmed()
        self._told = orders

    async def run(self, backoff: Backoff) -> None:
        """Publish for ever; a store or broker that does not answer is waited for."""
        while True:
            await attempt(self.once, "control", backoff=backoff)
            await backoff.sleep(EVERY_S)
