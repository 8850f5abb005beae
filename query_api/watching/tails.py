"""Reading partitions as they grow, each reader on a thread of its own, for whoever watches.

Such a reader belongs to no consumer group and commits nothing. It hands its records to the event
loop one batch at a time and waits until they were taken, so a busy loop lets the rest lie on Kafka.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from confluent_kafka import KafkaException, TopicPartition

from core import kafka as clients
from core import log
from core.errors import BrokerUnavailable
from core.reading import reading
from core.settings import Kafka
from query_api.refusals import Busy

logger = log.get(__name__)
POLL_S = 0.25
ASK_S = 5.0
QUEUE_KB = 16 * 1024
"""Records fetched ahead of one reader, KiB."""

MOST_RECORDS = 500
MOST_BYTES = 8 * 1024**2
"""Of one batch."""

Partition: TypeAlias = tuple[str, int]
"""A topic's full name, and the number of one of its partitions."""


class Heard(NamedTuple):
    """A record."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None


class Span(NamedTuple):
    """Offsets of a partition, from the first record to before the end."""

    begin: int
    end: int


class Hearer(Protocol):
    """Whom a reader tells; called on the event loop, one call after the other."""

    def begun(self, spans: Mapping[Partition, Span]) -> None:
        """Where in each partition it begins to read, and where the partition ends now. Called first, once."""
        ...

    def take(self, records: Sequence[Heard]) -> None:
        """The next records, in order in each partition."""
        ...

    def ended(self) -> None:
        """Nothing more will come: the service stops, or the reader has failed."""
        ...


class Tail(Protocol):
    """A reader at work."""

    def close(self) -> None:
        """End it; its hearer is told nothing more."""
        ...


class Tails(Protocol):
    """Opens readers of partitions that grow, and reads again what has been there for a while."""

    async def open(self, back: Mapping[Partition, int], hearer: Hearer, *, lost: Literal["earliest", "latest"]) -> Tail:
        """A reader that begins so many records before the end of each partition.

        Args:
            lost: where it goes on when what comes next is no longer kept.

        Raises:
            BrokerUnavailable: the broker does not say where the partitions end.
            Busy: the service is being stopped.
        """
        ...

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Span]:
        """What is kept of each. Blocking. Raises BrokerUnavailable."""
        ...

    def read(self, partition: Partition, span: Span) -> list[Heard]:
        """Records of the span, from its begin on, not necessarily all. Blocking. Raises BrokerUnavailable."""
        ...

    def close(self) -> None:
        """End every reader, telling its hearer; open no more."""
        ...


class KafkaTails:
    """Readers of the settings' broker."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._open: set[KafkaTail] = set()
        self._closed = False

    async def open(
        self, back: Mapping[Partition, int], hearer: Hearer, *, lost: Literal["earliest", "latest"]
    ) -> KafkaTail:
        """See `Tails.open`."""
        if self._closed:
            raise Busy("the service is being stopped")
        tail = KafkaTail(self._kafka, back, hearer, lost, self._open.discard)
        self._open.add(tail)
        try:
            await tail.begin()
        except BaseException:
            tail.close()
            raise
        return tail

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Span]:
        """See `Tails.bounds`."""
        with reading(self._kafka, "watch", timeout_s=ASK_S) as reader:
            return {partition: Span(*reader.bounds(*partition)) for partition in partitions}

    def read(self, partition: Partition, span: Span) -> list[Heard]:
        """See `Tails.read`."""
        end = min(span.end, span.begin + MOST_RECORDS)
        with reading(self._kafka, "watch") as reader:
            return [heard(message) for message in reader.records(*partition, span.begin, end)]

    def close(self) -> None:
        """See `Tails.close`."""
        self._closed = True
        for tail in list(self._open):
            tail.stop()


class KafkaTail:
    """One reader, bound to the event loop in which it was made.

    Args:
        gone: told of the reader when its thread has ended.
    """

    def __init__(
        self,
        kafka: Kafka,
        back: Mapping[Partition, int],
        hearer: Hearer,
        lost: Literal["earliest", "latest"],
        gone: Callable[[KafkaTail], None],
    ) -> None:
        self._kafka = kafka
        self._back = dict(back)
        self._hearer: Hearer | None = hearer
        self._lost = lost
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._stopping = threading.Event()
        self._taken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)

    async def begin(self) -> None:
        """Start; returns when it is known where it begins to read. Raises BrokerUnavailable."""
        self._thread.start()
        await self._begun

    def close(self) -> None:
        """See `Tail.close`."""
        self._hearer = None
        self._stopping.set()

    def stop(self) -> None:
        """End it, and tell the hearer."""
        hearer = self._hearer
        self.close()
        if hearer is not None:
            hearer.ended()

    def _run(self) -> None:
        """What the thread does."""
        consumer: Any = None
        try:
            consumer = clients.consumer(
                self._kafka,
                "watch",
                "watching",
                **{"auto.offset.reset": self._lost, "queued.max.messages.kbytes": QUEUE_KB},
            )
            self._on_loop(self._begin_at, self._assign(consumer))
            while not self._stopping.is_set():
                self._hand_over(self._batch(consumer))
        except Exception as error:  # whatever ends a thread must be told, or viewers would wait for ever
            self._on_loop(self._fail, error)
        finally:
            if consumer is not None:
                consumer.close()
            self._on_loop(self._gone, self)

    def _assign(self, consumer: Any) -> dict[Partition, Span]:
        spans: dict[Partition, Span] = {}
        places: list[TopicPartition] = []
        try:
            for (topic, number), back in self._back.items():
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=ASK_S)
                begin = max(low, high - back)
                spans[topic, number] = Span(begin, high)
                places.append(TopicPartition(topic, number, begin))
            consumer.assign(places)
        except KafkaException as error:
            raise BrokerUnavailable(f"the broker does not say where its topics end: {error}") from error
        return spans

    def _batch(self, consumer: Any) -> list[Heard]:
        """What is there, at least one record unless nothing comes for a while."""
        found: list[Heard] = []
        size = 0
        message = consumer.poll(POLL_S)
        while message is not None:
            error = message.error()
            if error is not None and error.fatal():
                raise KafkaException(error)
            if error is None:
                found.append(heard(message))
                size += len(found[-1].value or b"")
            if len(found) >= MOST_RECORDS or size >= MOST_BYTES:
                break
            message = consumer.poll(0)
        return found

    def _hand_over(self, batch: list[Heard]) -> None:
        if not batch:
            return
        self._taken.clear()
        self._on_loop(self._deliver, batch)
        while not self._taken.wait(POLL_S) and not self._stopping.is_set():
            pass

    def _on_loop(self, call: Callable[..., None], *given: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *given)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            self._stopping.set()

    def _begin_at(self, spans: dict[Partition, Span]) -> None:
        if self._hearer is not None:
            self._hearer.begun(spans)
        if not self._begun.done():
            self._begun.set_result(None)

    def _deliver(self, batch: list[Heard]) -> None:
        try:
            if self._hearer is not None:
                self._hearer.take(batch)
        except Exception as error:  # one batch that cannot be taken must not end all that is watched
            logger.error("records_not_taken", topic=batch[0].topic, exc_info=error)
        finally:
            self._taken.set()

    def _fail(self, error: Exception) -> None:
        if self._begun.done():
            logger.warning("reader_failed", error=str(error))
            self.stop()
            return
        with suppress(asyncio.InvalidStateError):
            self._begun.set_exception(error)


def heard(message: Any) -> Heard:
    """A record, of the Kafka client's message."""
    return Heard(
        message.topic() or "", message.partition() or 0, message.offset() or 0, message.key() or b"", message.value()
    )
