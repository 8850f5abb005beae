"""Putting one run's records on Kafka in order, and knowing which are acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message

from core.errors import BrokerUnavailable
from core.ids import StreamId
from core.messages import AnalyticsChanged, Frame, RunBegin, RunEnd, StreamStatus, encode_frame, encode_json
from core.topics import Topics
from ingest.progress import Checkpoint, encode

IN_FLIGHT_BYTES = 16 * 1024**2
FLUSH_S = 60.0
Delivery = Callable[[KafkaError | None, Message], None]


class Producing(Protocol):
    """The part of confluent-kafka's producer that is used."""

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, on_delivery: Delivery) -> None:
        """Queue a record. Raises BufferError when the queue is full, KafkaException."""

    def poll(self, timeout: float) -> int:
        """Serve deliveries."""

    def flush(self, timeout: float) -> int:
        """Wait for all; records still waiting."""


@dataclass(slots=True)
class Acknowledged:
    """The newest record of the run that the broker has; `gated` is how many frames were held back before it."""

    next_seq: int = 0
    index: int = -1
    media_s: float = 0.0
    offset: int = 0
    gated: int = 0


class Publisher:
    """One run's way to Kafka; may be used by several threads.

    Args:
        on_published: called for each acknowledged frame.
        leased: whether the stream is still this process's to number.
        partition: of all its records; the same number on every topic.
    """

    def __init__(
        self,
        producer: Producing,
        topics: Topics,
        *,
        stream: StreamId,
        partition: int,
        frames_topic: str,
        standing: Acknowledged,
        on_published: Callable[[], None] = lambda: None,
        leased: Callable[[], bool] = lambda: True,
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._key = str(stream).encode()
        self._partition = partition
        self._frames_topic = frames_topic
        self._on_published = on_published
        self._leased = leased
        self._lock = threading.Lock()
        self._waiting = 0
        self._acknowledged = standing
        self._failure: str | None = None

    def room(self, size: int) -> bool:
        """Whether a frame of `size` bytes may be handed over without waiting. Raises BrokerUnavailable."""
        self.poll()
        with self._lock:
            return self._waiting == 0 or self._waiting + size <= IN_FLIGHT_BYTES

    def frame(self, frame: Frame, value: bytes) -> None:
        """Hand over a frame, encoded as `value`. Raises BrokerUnavailable."""
        self._insist()
        size = len(value)
        with self._lock:
            self._waiting += size

        def delivered(error: KafkaError | None, message: Message) -> None:
            with self._lock:
                self._waiting -= size
                if error is not None:
                    self._failure = self._failure or str(error)
                    return
                self._acknowledged = Acknowledged(
                    next_seq=frame.seq + 1,
                    index=frame.index,
                    media_s=frame.media_s,
                    offset=_offset(message) + 1,
                    gated=self._acknowledged.gated + frame.held,
                )
            self._on_published()

        self._produce(self._frames_topic, value, delivered)

    def begin(self, begin: RunBegin) -> None:
        """Hand over the run's first record. Raises BrokerUnavailable."""
        self._produce(self._frames_topic, encode_frame(begin), self._watched)

    def changed(self, change: AnalyticsChanged) -> None:
        """Hand over a change of the run's analytics. Raises BrokerUnavailable."""
        self._insist()
        self._produce(self._frames_topic, encode_frame(change), self._watched)

    def end(self, end: RunEnd) -> None:
        """Hand over the run's last record. Raises BrokerUnavailable."""
        self._produce(self._frames_topic, encode_frame(end), self._watched)

    def status(self, status: StreamStatus) -> None:
        """Say how the run stands. Raises BrokerUnavailable."""
        self._produce(self._topics.stream_status, encode_json(status), self._watched)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write down how far it has come. Raises BrokerUnavailable."""
        self._produce(self._topics.ingest_progress, encode(checkpoint), self._watched)

    @property
    def acknowledged(self) -> Acknowledged:
        """The newest frame that the broker has."""
        with self._lock:
            return self._acknowledged

    def poll(self) -> None:
        """Serve acknowledgements. Raises BrokerUnavailable when one was refused."""
        self._serve(self._producer.poll, 0)
        with self._lock:
            if self._failure is not None:
                raise BrokerUnavailable(f"a record was not taken: {self._failure}")

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Until everything is acknowledged. Raises BrokerUnavailable."""
        left = self._serve(self._producer.flush, timeout_s)
        self.poll()
        if left:
            raise BrokerUnavailable(f"{left} records were not acknowledged within {timeout_s:.0f} s")

    def _serve(self, call: Callable[[float], int], seconds: float) -> int:
        try:
            return call(seconds)
        except KafkaException as error:  # a producer that has ended says so here, once
            with self._lock:
                self._failure = self._failure or str(error)
            raise BrokerUnavailable(f"a record was not taken: {error}") from error

    def _insist(self) -> None:
        if not self._leased():
            raise BrokerUnavailable("the stream may be another host's: the lease has ended")

    def _watched(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            with self._lock:
                self._failure = self._failure or str(error)

    def _produce(self, topic: str, value: bytes, delivered: Delivery) -> None:
        while True:
            try:
                self._producer.produce(
                    topic, value=value, key=self._key, partition=self._partition, on_delivery=delivered
                )
            except BufferError:
                self._serve(self._producer.poll, 0.1)
            except KafkaException as error:
                raise BrokerUnavailable(f"a record for {topic} cannot be sent: {error}") from error
            else:
                return


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None
    return int(offset)
