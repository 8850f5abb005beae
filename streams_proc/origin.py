"""Where a partition's reading begins: what is committed, what is kept, what was snapshot.

Read with a client of our own that never joins the group, so that Faust's consumer is not seeked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from core.errors import BrokerUnavailable
from core.kafka import committed, consumer
from core.settings import Kafka
from streams_proc.snapshots import Snapshot, newest
from streams_proc.stage import TopicPartition

TIMEOUT_S = 10.0
FETCH_WAIT_MS = 10
"""How long the broker waits for records before it says that there are no more: half a second by default, which a
partition's first record would wait for."""


class Origin(Protocol):
    """Answers about a partition at the start of a generation. Blocking: called in a thread."""

    def start(self, tp: TopicPartition) -> tuple[int | None, int]:
        """The committed offset (None: never), and the first offset that is still kept."""
        ...

    def snapshot(self, topic: str, partition: int) -> tuple[Snapshot | None, tuple[bytes, ...]]:
        """The newest snapshot of a partition, and the keys of all that live."""
        ...


class KafkaOrigin:
    """Asks the broker."""

    def __init__(self, kafka: Kafka, group: str) -> None:
        self._connect: Callable[[], Consumer] = lambda: consumer(
            kafka, f"{group}-origin", group, **{"enable.partition.eof": True, "fetch.wait.max.ms": FETCH_WAIT_MS}
        )

    def start(self, tp: TopicPartition) -> tuple[int | None, int]:
        """The committed offset (None: never), and the first offset that is still kept.

        Raises:
            BrokerUnavailable: no answer.
        """
        with self._client() as client:
            place = KafkaPartition(tp.topic, tp.partition)
            known = committed(client, [place], TIMEOUT_S)
            low, _ = client.get_watermark_offsets(place, timeout=TIMEOUT_S)
            return known.get((tp.topic, tp.partition)), low

    def snapshot(self, topic: str, partition: int) -> tuple[Snapshot | None, tuple[bytes, ...]]:
        """The newest snapshot of a partition, and the keys of all that live.

        Raises:
            BrokerUnavailable: no answer.
            SnapshotError: one that cannot be read.
        """
        with self._client() as client:
            return newest(_whole_partition(client, topic, partition))

    def living_keys(self, topic: str, partition: int) -> list[bytes]:
        """Keys of a compacted topic's partition that have a value."""
        with self._client() as client:
            return [key for key, value in dict(_whole_partition(client, topic, partition)).items() if value is not None]

    @contextlib.contextmanager
    def _client(self) -> Iterator[Consumer]:
        client = self._connect()
        try:
            yield client
        except KafkaException as error:
            raise BrokerUnavailable(f"the start of a partition cannot be asked: {error}") from error
        finally:
            client.close()


def _whole_partition(client: Consumer, topic: str, partition: int) -> Iterator[tuple[bytes, bytes | None]]:
    low, high = client.get_watermark_offsets(KafkaPartition(topic, partition), timeout=TIMEOUT_S)
    if low >= high:
        return
    client.assign([KafkaPartition(topic, partition, low)])
    while True:
        message = client.poll(TIMEOUT_S)
        if message is None:
            raise BrokerUnavailable(f"{topic} does not answer")
        error = message.error()
        if error is None:
            yield message.key() or b"", message.value()
        elif error.code() == KafkaError._PARTITION_EOF:
            return
        else:
            raise BrokerUnavailable(f"{topic}: {error}")
