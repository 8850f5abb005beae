"""How large the unread records of some partitions are, from some of them.

A broker tells a client offsets, not bytes, and streams of one partition differ: small pictures beside
large ones. So a few records, spread over all that is unread, are fetched at each look; those that
have been read since fall out. The estimate is held on the safe side: it is as much above the mean as
the sample leaves in doubt, and no more than the largest record of it.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import deque
from collections.abc import Mapping
from functools import partial

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from core import kafka as clients
from core.settings import Kafka

AT_ONCE = 8
KEPT = 256
ENOUGH = 16
DEVIATIONS = 3.0
ANSWER_S = 1.0
FEW = {
    "fetch.message.max.bytes": 1,
    "queued.min.messages": 1,
    "fetch.wait.max.ms": 10,
    "fetch.queue.backoff.ms": 10,
}
"""The broker gives a whole batch of records however little is asked for, and so no more than one.

With one record the queue counts as full, and by default the client waits a second before it fetches again,
another record of the partition too.
"""


def bytes_a_record(sizes: list[int]) -> float | None:
    """What a record takes, rather too much than too little, from the sizes of some; None without any."""
    if not sizes:
        return None
    if len(sizes) < ENOUGH:
        return float(max(sizes))
    doubt = DEVIATIONS * statistics.stdev(sizes) / math.sqrt(len(sizes))
    return min(statistics.fmean(sizes) + doubt, float(max(sizes)))


def size_of(message: Message) -> int:
    """Bytes of the record's key and value."""
    return len(message.key() or b"") + len(message.value() or b"")


class RecordSizes:
    """Sizes of records that are unread, each looked at once. For one thread."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._topic = topic
        self._connect = partial(clients.consumer, kafka, "ingest-sizes", "ingest-backlog-sizes", **FEW)
        self._consumer: Consumer | None = None
        self._known: deque[tuple[int, int, int]] = deque(maxlen=KEPT)
        self._chance = random.Random(0)  # noqa: S311 - any regular step might be in step with the streams

    @property
    def estimate(self) -> float | None:
        """Bytes a record, see `bytes_a_record`."""
        return bytes_a_record([size for _, _, size in self._known])

    def forget(self, unread: Mapping[int, range]) -> None:
        """Of what is unread no more, by partition, the sizes do not count any more."""
        kept = [one for one in self._known if one[1] in unread.get(one[0], range(0))]
        self._known = deque(kept, maxlen=KEPT)

    def look(self, unread: Mapping[int, range]) -> None:
        """Fetch some records of what is unread, by partition. Raises KafkaException."""
        self.forget(unread)
        total = sum(map(len, unread.values()))
        for nth in range(min(AT_ONCE, total)):
            self._fetch(*_place(unread, int((nth + self._chance.random()) * total / AT_ONCE)))

    def _fetch(self, partition: int, offset: int) -> None:
        consumer = self._consumer = self._consumer or self._connect()
        try:
            consumer.assign([TopicPartition(self._topic, partition, offset)])
            until = time.monotonic() + ANSWER_S
            while (left := until - time.monotonic()) > 0:
                message = consumer.poll(left)
                if message is not None and message.error() is None and message.partition() == partition:
                    self._known.append((partition, message.offset() or 0, size_of(message)))
                    break
            consumer.unassign()
        except KafkaException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the broker."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


def _place(unread: Mapping[int, range], nth: int) -> tuple[int, int]:
    """Partition and offset of the nth unread record of all."""
    for partition, offsets in unread.items():
        if nth < len(offsets):
            return partition, offsets[nth]
        nth -= len(offsets)
    raise IndexError("beyond what is unread")
