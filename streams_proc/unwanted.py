"""Whose frames nobody wants any more: tasks that are cancelled, and what has been deleted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from uuid import UUID

from confluent_kafka import TopicPartition

from core import log
from core.errors import BadMessage
from core.ids import StreamId
from core.kafka import consumer
from core.messages import decode_spec
from core.settings import Kafka
from core.topics import Topics

MOST = 100_000
POLL_S = 0.5
_log = log.get(__name__)


class Unwanted:
    """Follows the topic `streams` beside the stage, in a thread.

    It is for sparing work alone: nothing depends on how soon it knows.
    """

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._ids: OrderedDict[StreamId, None] = OrderedDict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="unwanted", daemon=True)
        self._thread.start()

    def __contains__(self, stream: object) -> bool:
        return stream in self._ids

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()
        self._thread.join(5.0)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """A record of `streams`; what is none is passed over."""
        try:
            stream = StreamId(UUID((key or b"").decode()))
            spec = None if value is None else decode_spec(value)
        except (ValueError, BadMessage):
            return
        if spec is None or (spec.task and spec.desired == "stop"):
            self._ids[stream] = None
            if len(self._ids) > MOST:
                self._ids.popitem(last=False)
        else:
            self._ids.pop(stream, None)

    def _follow(self) -> None:
        topic = Topics.of(self._kafka).streams
        client = consumer(self._kafka, "unwanted", "unwanted")
        client.assign([TopicPartition(topic, p, 0) for p in range(self._kafka.partitions)])
        while not self._stop.is_set():
            record = client.poll(POLL_S)
            if record is not None and record.error() is None:
                self.take(record.key(), record.value())
        client.close()
