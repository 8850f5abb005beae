"""Reading ranges of topics again, as a member of no group: nothing is committed, nobody is disturbed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from core import kafka as clients
from core.errors import BrokerUnavailable
from core.settings import Kafka

TIMEOUT_S = 10.0
AGAIN_S = 0.2
FETCH_MS = 20
"""For so long the broker waits for more when there is none: each partition's end is found by such a wait."""

T = TypeVar("T")


class Reader:
    """Answers about what lies in partitions. Made by `reading`; blocking, for one thread."""

    def __init__(self, kafka: Kafka, client: Consumer, timeout_s: float) -> None:
        self._kafka = kafka
        self._client = client
        self._timeout_s = timeout_s

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Offsets of the first record that is kept and of the next one to come."""
        place = TopicPartition(topic, partition)
        low, high = self._asked(
            lambda: self._client.get_watermark_offsets(place, timeout=self._timeout_s, cached=False)
        )
        return low, high

    def committed(self, topic: str) -> Mapping[int, int]:
        """The reader's group's committed offset of each partition that has one."""
        places = [TopicPartition(topic, partition) for partition in range(self._kafka.partitions)]
        found = self._asked(lambda: clients.committed(self._client, places, self._timeout_s))
        return {partition: offset for (_, partition), offset in found.items()}

    def records(self, topic: str, partition: int, begin: int, end: int) -> Iterator[Message]:
        """The records from `begin` to before `end` that are kept, in order.

        Raises:
            BrokerUnavailable: the next one does not come in time.
        """
        if begin >= end:
            return
        self._client.assign([TopicPartition(topic, partition, begin)])
        try:
            while (message := self._next(topic, partition)) is not None and (message.offset() or 0) < end:
                yield message
                if message.offset() == end - 1:
                    return
        finally:
            self._client.unassign()

    def _asked(self, question: Callable[[], T]) -> T:
        """The answer; a partition that is new, or is moving, is asked again for a while."""
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                return question()
            except KafkaException:
                if time.monotonic() > until:
                    raise
                time.sleep(AGAIN_S)

    def _next(self, topic: str, partition: int) -> Message | None:
        """The next record; None at the partition's end."""
        until = time.monotonic() + self._timeout_s
        while (left := until - time.monotonic()) > 0:
            message = self._client.poll(left)
            if message is None:
                continue
            error = message.error()
            if error is None:
                return message
            if error.code() == KafkaError._PARTITION_EOF:
                return None
            if error.fatal():
                raise KafkaException(error)
        raise BrokerUnavailable(f"{topic}/{partition} gives no record after {self._timeout_s:.0f} s")


@contextmanager
def reading(
    kafka: Kafka, name: str, group: str = "reading", timeout_s: float = TIMEOUT_S, **more: Any
) -> Iterator[Reader]:
    """A reader of the broker.

    Args:
        name: shown in the broker's logs.
        group: whose committed offsets `Reader.committed` tells; it is not joined.
        more: librdkafka settings on top.

    Raises:
        BrokerUnavailable: the broker does not answer, now or at any call of the reader.
    """
    client = clients.consumer(
        kafka, name, group, **{"enable.partition.eof": True, "fetch.wait.max.ms": FETCH_MS, **more}
    )
    try:
        yield Reader(kafka, client, timeout_s)
    except KafkaException as error:
        raise BrokerUnavailable(f"the broker does not answer: {error}") from error
    finally:
        client.close()
