"""How many bytes of a frames topic the detector has not read yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from core import kafka as clients
from core.log import get
from core.settings import Kafka

log = get(__name__)
READER_GROUP = "detect"
REFRESH_S = 0.5
TIMEOUT_S = 5.0


class UnreadRecords(Protocol):
    """Counts records that detect has not committed past."""

    def count(self) -> int:
        """Unread records now. Raises KafkaException."""


class DetectLag:
    """Unread records of some partitions of a topic, by the committed offsets of the group `detect`."""

    def __init__(self, kafka: Kafka, topic: str, partitions: tuple[int, ...]) -> None:
        self._connect = partial(clients.consumer, kafka, "ingest-backlog", READER_GROUP)
        self._consumer: Consumer = self._connect()
        self._places = [TopicPartition(topic, partition) for partition in partitions]

    def count(self) -> int:
        """Unread records now; from the oldest kept one where nothing is committed. Raises KafkaException."""
        try:
            return self._count()
        except KafkaException:
            # a client that has lost sight of a partition may never see it again; a new one does
            self._consumer.close()
            self._consumer = self._connect()
            raise

    def _count(self) -> int:
        unread = 0
        for place in self._consumer.committed(self._places, timeout=TIMEOUT_S):
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(place.topic, place.partition), timeout=TIMEOUT_S, cached=False
            )
            unread += high - max(low, place.offset)
        return unread

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


class Backlog:
    """Unread bytes, held against a bound.

    Kafka tells offsets, not bytes: the unread records are taken to be of the mean size of those this
    reader has published, and what it publishes between two looks is added as it is.
    """

    def __init__(self, lag: UnreadRecords, bound: int, now: Callable[[], float]) -> None:
        self._lag = lag
        self._bound = bound
        self._now = now
        self._looked_at = float("-inf")
        self._unread = 0
        self._records = 0
        self._bytes = 0
        self._since = 0

    def published(self, size: int) -> None:
        """Note a record of `size` bytes handed to the broker."""
        self._records += 1
        self._bytes += size
        self._since += size

    def full(self, size: int) -> bool:
        """Whether a record of `size` bytes more would pass the bound; a lone record never does."""
        if self._now() - self._looked_at >= REFRESH_S:
            self._look(size)
        ahead = self._unread + self._since
        return ahead > 0 and ahead + size > self._bound

    def _look(self, size: int) -> None:
        self._looked_at = self._now()
        try:
            unread = self._lag.count()
        except KafkaException as error:
            log.warning("the backlog cannot be seen", error=str(error))
            return
        mean = self._bytes / self._records if self._records else size
        self._unread = round(unread * mean)
        self._since = 0
