"""What all workers are told at once, through the topic `nodes`: to begin again, and how much to log.

The orders are one record of a compacted topic, so whoever begins finds them as they stand; what changes after that
is for it. Whoever supervises a process begins it again when it has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from core import log
from core.errors import BadMessage
from core.kafka import consumer
from core.messages import Orders, decode_node
from core.partitions import partition_of
from core.settings import Kafka
from core.topics import Topics

KEY = b"orders"
POLL_S = 0.5
ANSWER_S = 5.0
FETCH_WAIT_MS = 5000
"""The broker answers at once when there is something, and so seldom when there is nothing."""

QUEUE_KB = 1024
_log = log.get(__name__)


class Client(Protocol):
    """The part of confluent-kafka's consumer that is used."""

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Read these partitions from their offsets on."""

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> Any:
        """Offsets of a partition's oldest record and of the next one to come. Raises KafkaException."""

    def poll(self, timeout: float) -> Any:
        """The next record or event; None when there is none in time."""

    def close(self) -> None:
        """Leave the broker."""


def connect(kafka: Kafka) -> Client:
    """A consumer of no group."""
    made: Client = consumer(
        kafka,
        "orders",
        "orders",
        **{
            "enable.partition.eof": True,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "queued.max.messages.kbytes": QUEUE_KB,
        },
    )
    return made


class Obeying:
    """Follows the orders in a thread, while the block lasts.

    A restart that was ordered before the block is nothing to a process that has just begun.

    Args:
        restart: called in that thread, once for each order, when the process is to end and be begun again.
        own_level: what is logged when the orders say nothing of it.
        connect: makes the client, in that thread.
    """

    def __init__(
        self,
        kafka: Kafka,
        restart: Callable[[], object],
        own_level: str,
        connect: Callable[[Kafka], Client] = connect,
    ) -> None:
        self._kafka = kafka
        self._restart = restart
        self._own_level = own_level
        self._connect = connect
        self._told_ms = 0
        self._found = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="orders", daemon=True)

    def __enter__(self) -> Obeying:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """A record of `nodes`; what is no order is passed over."""
        if key != KEY:
            return
        try:
            orders = decode_node(value)
        except BadMessage as error:
            _log.warning("an order cannot be read", error=str(error))
            return
        if not isinstance(orders, Orders):
            return
        log.set_level(orders.log_level or self._own_level)
        if orders.restart_ms <= self._told_ms:
            return
        self._told_ms = orders.restart_ms
        if self._found:
            _log.info("a restart is ordered")
            self._restart()

    def found(self) -> None:
        """The orders have been read as they stood; those that follow are for this process."""
        self._found = True

    def _follow(self) -> None:
        place = TopicPartition(Topics.of(self._kafka).nodes, partition_of(KEY, self._kafka.partitions))
        place.offset = OFFSET_BEGINNING
        client = self._connect(self._kafka)
        client.assign([place])
        low, end = self._bounds(client, place)
        if low >= end:
            self.found()
        while not self._stop.is_set():
            record = client.poll(POLL_S)
            if record is None:
                continue
            error = record.error()
            if error is None:
                self.take(record.key(), record.value())
                if record.offset() + 1 >= end:
                    self.found()
            elif error.code() == KafkaError._PARTITION_EOF:  # compaction may have taken the last record
                self.found()
        client.close()

    def _bounds(self, client: Client, place: TopicPartition) -> tuple[int, int]:
        """What stands there now; asked for, because the end of a log is only told when a fetch has waited for more."""
        while not self._stop.is_set():
            try:
                low, end = client.get_watermark_offsets(place, timeout=ANSWER_S)
            except KafkaException as error:
                _log.warning("the orders cannot be read yet", error=str(error))
                self._stop.wait(POLL_S)
            else:
                return low, end
        return 0, 0
