"""Reading single frames of Kafka again, by their place.

Whether a place is none is decided here, never by an error: a client of a broker that has just been
started again may say of any partition that it is unknown, and go on saying so until it is replaced.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition

from core import kafka as clients
from core.errors import BrokerUnavailable
from core.messages import Place
from core.settings import Kafka
from core.topics import Topics

CACHE_BYTES = 32 * 1024**2
FETCH_BYTES = 1024**2
READ_ON = 8
"""Records up to this many further on are read past; beyond, the reader seeks."""


class FrameReader:
    """Answers for records of the frames' topics, by topic, partition and offset.

    One consumer without a group's membership, in a thread of its own; records of a request are
    read in the order of their offsets, and the last ones read are remembered, within bytes.

    Args:
        cache_bytes: most bytes of values remembered.
        timeout_s: seconds to wait for one record.
    """

    def __init__(self, kafka: Kafka, *, cache_bytes: int = CACHE_BYTES, timeout_s: float = 15.0) -> None:
        self._kafka = kafka
        topics = Topics.of(kafka)
        self._topics = {topics.frames_live, topics.frames_batch}
        self._timeout_s = timeout_s
        self._cache = ByteCache(cache_bytes)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="frame-reader")
        self._consumer: Consumer | None = None

    async def read(self, places: Sequence[Place]) -> Mapping[Place, bytes]:
        """Values of the records at `places`; those that are kept no longer, and places that are none, are absent.

        Raises:
            BrokerUnavailable: the broker does not answer in time.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, tuple(places))

    async def close(self) -> None:
        """Let go of the broker."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._forget_consumer)
        self._thread.shutdown()

    def _read(self, places: Sequence[Place]) -> dict[Place, bytes]:
        found = {place: value for place in places if (value := self._cache.get(place)) is not None}
        wanted: dict[tuple[str, int], list[int]] = {}
        for place in places:
            if place not in found:
                wanted.setdefault((place.topic, place.partition), []).append(place.offset)
        try:
            for (topic, partition), offsets in sorted(wanted.items()):
                for offset, value in self._read_partition(topic, partition, sorted(set(offsets))).items():
                    place = Place(topic, partition, offset)
                    found[place] = value
                    self._cache.put(place, value)
        except KafkaException as error:
            self._forget_consumer()
            raise BrokerUnavailable(f"frames cannot be read again: {error}") from error
        return found

    def _read_partition(self, topic: str, partition: int, offsets: Sequence[int]) -> dict[int, bytes]:
        """The records at `offsets`, rising; a record past the one waited for shows that that one is gone."""
        if topic not in self._topics or partition >= self._kafka.partitions:
            return {}
        low, high = self._connected().get_watermark_offsets(
            TopicPartition(topic, partition), timeout=self._timeout_s, cached=False
        )
        pending = [offset for offset in offsets if low <= offset < high]
        found: dict[int, bytes] = {}
        consumer = self._connected()
        reading: int | None = None
        try:
            while pending:
                if reading is None or not reading <= pending[0] <= reading + READ_ON:
                    consumer.assign([TopicPartition(topic, partition, pending[0])])
                offset, value = self._next(consumer, pending[0])
                if offset == pending[0] and value is not None:
                    found[offset] = value
                pending = [later for later in pending if later > offset]
                reading = offset + 1
        finally:
            consumer.unassign()
        return found

    def _next(self, consumer: Consumer, offset: int) -> tuple[int, bytes | None]:
        """Offset and value of the next record. Raises KafkaException, also for a log that no longer has `offset`."""
        until = time.monotonic() + self._timeout_s
        while (left := until - time.monotonic()) > 0:
            message = consumer.poll(left)
            if message is None:
                continue
            error = message.error()
            if error is None:
                return message.offset(), message.value()
            if not error.retriable():
                raise KafkaException(error)
        raise BrokerUnavailable(f"no record at offset {offset} after {self._timeout_s:.0f} s")

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._consumer = clients.consumer(
                self._kafka,
                "frame-reader",
                f"frame-reader-{uuid4()}",
                **{
                    "auto.offset.reset": "error",
                    "fetch.message.max.bytes": FETCH_BYTES,
                    "queued.max.messages.kbytes": 4 * FETCH_BYTES // 1024,
                    # a record that is asked for is there; what is fetched beyond it stands before the next question
                    "fetch.wait.max.ms": 1,
                },
            )
        return self._consumer

    def _forget_consumer(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


class ByteCache:
    """The values last used, bounded in bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._values: OrderedDict[Place, bytes] = OrderedDict()

    def get(self, place: Place) -> bytes | None:
        """The value, now the last used."""
        value = self._values.get(place)
        if value is not None:
            self._values.move_to_end(place)
        return value

    def put(self, place: Place, value: bytes) -> None:
        """Remember `value`; the least lately used ones make room."""
        self._held -= len(self._values.pop(place, b""))
        self._values[place] = value
        self._held += len(value)
        while self._held > self._most:
            _, dropped = self._values.popitem(last=False)
            self._held -= len(dropped)
