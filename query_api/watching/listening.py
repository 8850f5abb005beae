"""One listener's way: through what was said before, where it asks for that, into what is being said."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing

from core.errors import InvalidInput
from core.ids import StreamId
from core.partitions import partition_of
from core.settings import Kafka
from query_api.pool import Pool
from query_api.watching.channel import Channel, Item, Over, Subscription, Told, item_of
from query_api.watching.closing import EXPIRED, Closing
from query_api.watching.offsets import EARLIEST, positions_of, token_of
from query_api.watching.tails import Span, Tails

IDLE_S = 10.0
NEAR = 200
"""Records behind from which on a listener is told what comes while it reads what was."""


class Listening:
    """Leads listeners; one that hears nothing for `IDLE_S` is told None, to look whether its stream lives."""

    def __init__(self, kafka: Kafka, channel: Channel, tails: Tails, pool: Pool) -> None:
        self._channel = channel
        self._tails = tails
        self._pool = pool
        self._feed = channel.feed
        self._partitions = kafka.partitions

    async def listen(self, subscription: Subscription, since: str | None) -> AsyncGenerator[Item | None, None]:
        """Everything from `since` on, or from now on; None where all that was there has been told, and when idle.

        Args:
            since: the offset of a message, or ``earliest``.

        Raises:
            InvalidInput: `since` is no offset.
            Closing: what follows it is no longer kept.
            BrokerUnavailable, Busy: later it may work.
        """
        at = None if since is None else await self._resolved(since, subscription.stream)
        await self._channel.attend()
        try:
            if at is None:
                self._channel.add(subscription)
            else:
                async with aclosing(self._catch_up(subscription, at)) as before:
                    async for item in before:
                        yield item
            yield None
            while True:
                following = await subscription.next(IDLE_S)
                if at is None or not isinstance(following, Told) or following.number >= at[following.partition]:
                    yield following
        finally:
            self._channel.remove(subscription)
            self._channel.leave()

    async def _catch_up(self, subscription: Subscription, at: dict[int, int]) -> AsyncGenerator[Item, None]:
        """What was said before; when it ends, the subscription is told all that follows, and nothing twice."""
        positions = self._channel.positions
        at |= {number: positions[number] for number in at if at[number] < 0}
        while _behind(at, self._channel.positions) > NEAR:
            async with aclosing(self._told(at, dict(self._channel.positions), subscription.stream)) as items:
                async for item in items:
                    yield item
        self._channel.add(subscription)
        async with aclosing(self._told(at, dict(self._channel.positions), subscription.stream)) as items:
            async for item in items:
                yield item

    async def _told(
        self, at: dict[int, int], until: Mapping[int, int], stream: StreamId | None
    ) -> AsyncGenerator[Item, None]:
        """From `at`, which moves on, to `until`."""
        for number in sorted(at):
            while at[number] < until[number]:
                records = await self._pool.run(
                    self._tails.read, (self._feed.topic, number), Span(at[number], until[number])
                )
                for heard in records:
                    at[number] = heard.offset + 1
                    if stream is None or heard.key == str(stream).encode():
                        item = item_of(heard, self._feed.read, at)
                        if isinstance(item, Told) or (isinstance(item, Over) and stream is not None):
                            yield item
                if not records:
                    at[number] = until[number]

    async def _resolved(self, since: str, stream: StreamId | None) -> dict[int, int]:
        """Positions on the partitions that matter; -1 where the token names none: from now on."""
        mine = self._mine(stream)
        given: Mapping[int, int] = {} if since == EARLIEST else positions_of(since, self._partitions)
        kept = await self._pool.run(self._tails.bounds, [(self._feed.topic, number) for number in mine])
        at: dict[int, int] = {}
        for number in mine:
            span = kept[self._feed.topic, number]
            at[number] = span.begin if since == EARLIEST else given.get(number, -1)
            if at[number] > span.end:
                raise InvalidInput(f"partition {number} ends at {span.end}", "from")
            if 0 <= at[number] < span.begin:
                resume = token_of({number: span.begin})
                raise Closing(EXPIRED, f"records before {resume} are no longer kept; some may be missed")
        return at

    def _mine(self, stream: StreamId | None) -> Collection[int]:
        if stream is None:
            return range(self._partitions)
        return (partition_of(str(stream).encode(), self._partitions),)


def _behind(at: Mapping[int, int], positions: Mapping[int, int]) -> int:
    """How many records lie between."""
    return sum(max(0, positions[number] - at[number]) for number in at)
