"""Deleting from `frames.batch` what nobody will read again.

A frame may go once detect has committed past it and analyse has passed it too, because analyse
reads the pictures of best views there. Analyse's position is told by the newest record before its
committed offset on `detections` whose frame lies on `frames.batch`: both partitions of a number
hold the same streams in the same order, and a replay only names an earlier place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from core import log
from core.errors import BadMessage, BrokerUnavailable
from core.kafka import admin, committed, consumer, delete_before
from core.messages import FrameDetections, decode_detections
from core.settings import Kafka
from core.topics import Topics
from streams_proc.attempt import Backoff, attempt

EVERY_S = 10.0
LOOK_BACK = 2000
STEP = 200
TIMEOUT_S = 10.0
_log = log.get(__name__)


class Logs(Protocol):
    """What trimming asks of Kafka. Blocking."""

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """A group's committed offset of each partition that has one."""
        ...

    def low(self, topic: str, partition: int) -> int:
        """First offset that is kept."""
        ...

    def values(self, topic: str, partition: int, begin: int, end: int) -> list[bytes | None]:
        """Values from `begin` to before `end`."""
        ...

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Delete records below the offsets."""
        ...


class Trim:
    """Keeps `frames.batch` no longer than it is needed."""

    def __init__(self, logs: Logs, topics: Topics) -> None:
        self._logs = logs
        self._topics = topics

    def trim(self) -> Mapping[int, int]:
        """Delete what may go; the offset below which it went, by partition. Raises BrokerUnavailable."""
        detected = self._logs.committed("detect", self._topics.frames_batch)
        analysed = self._logs.committed("analyse", self._topics.detections)
        offsets = {}
        for partition, done in detected.items():
            if partition in analysed:
                passed = self._passed(partition, analysed[partition])
                upto = min(done, passed)
                if upto > self._logs.low(self._topics.frames_batch, partition):
                    offsets[partition] = upto
        if offsets:
            self._logs.delete_before(self._topics.frames_batch, offsets)
            _log.debug("trimmed", offsets=offsets)
        return offsets

    def _passed(self, partition: int, followed: int) -> int:
        """The offset on frames.batch below which analyse has read everything; 0 when it cannot be told."""
        low = max(self._logs.low(self._topics.detections, partition), followed - LOOK_BACK)
        end = followed
        while end > low:
            begin = max(low, end - STEP)
            for value in reversed(self._logs.values(self._topics.detections, partition, begin, end)):
                place = _batch_place(value, self._topics.frames_batch)
                if place is not None:
                    return place + 1
            end = begin
        return 0

    async def run(self, backoff: Backoff) -> None:
        """Trim for ever."""
        while True:
            await backoff.sleep(EVERY_S)
            await attempt(lambda: asyncio.to_thread(self.trim), "control", backoff=backoff)


def _batch_place(value: bytes | None, frames_batch: str) -> int | None:
    try:
        message = decode_detections(value)
    except BadMessage:
        return None
    if isinstance(message, FrameDetections) and message.place.topic == frames_batch:
        return message.place.offset
    return None


class KafkaLogs:
    """Asks the broker, as no group's member."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """A group's committed offset of each partition that has one."""
        places = [KafkaPartition(topic, partition) for partition in range(self._kafka.partitions)]
        with self._client(group) as client:
            return {partition: offset for (_, partition), offset in committed(client, places, TIMEOUT_S).items()}

    def low(self, topic: str, partition: int) -> int:
        """First offset that is kept."""
        with self._client("trim") as client:
            low, _ = client.get_watermark_offsets(KafkaPartition(topic, partition), timeout=TIMEOUT_S)
            return int(low)

    def values(self, topic: str, partition: int, begin: int, end: int) -> list[bytes | None]:
        """Values from `begin` to before `end`."""
        found: list[bytes | None] = []
        with self._client("trim") as client:
            client.assign([KafkaPartition(topic, partition, begin)])
            while True:
                message = client.poll(TIMEOUT_S)
                if message is None or message.error() is not None:
                    raise BrokerUnavailable(f"{topic}/{partition} cannot be read at {begin}")
                if message.offset() >= end:
                    return found
                found.append(message.value())
                if message.offset() == end - 1:
                    return found

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Delete records below the offsets."""
        places = [KafkaPartition(topic, partition, offset) for partition, offset in offsets.items()]
        client = admin(self._kafka)  # kept: its answers never come once it is collected
        try:
            delete_before(client, places, TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise BrokerUnavailable(f"{topic} cannot be trimmed: {error}") from error

    @contextmanager
    def _client(self, group: str) -> Iterator[Consumer]:
        client = consumer(self._kafka, "trim", group)
        try:
            yield client
        except KafkaException as error:
            raise BrokerUnavailable(f"what is committed cannot be asked: {error}") from error
        finally:
            client.close()
