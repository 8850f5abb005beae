"""What ingest hosts say of themselves, into the control database.

The topic `nodes` is compacted, which no stage may read: whoever holds the newest record of each host has all there is
to know, so it is followed from its begin, and nothing is committed.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

from core import kafka as clients
from core import log
from core.errors import BadMessage, BrokerUnavailable
from core.messages import NodeStatus, decode_node
from core.settings import Kafka
from core.topics import Topics
from streams_proc.attempt import Backoff, attempt

EVERY_S = 0.5
AT_ONCE = 500
_log = log.get(__name__)


class Heard(NamedTuple):
    """A record of `nodes`, and when the broker got it."""

    key: bytes | None
    value: bytes | None
    ts_ms: int


class NodeLog(Protocol):
    """The topic `nodes`, from its begin."""

    def read(self) -> Sequence[Heard]:
        """The records that have come since; at once. Raises BrokerUnavailable."""
        ...


class Register(Protocol):
    """The part of the control store that knows the nodes. Blocking."""

    def record_node(self, status: NodeStatus, heard_ms: int) -> Any:
        """Take note of a host."""
        ...


class Nodes:
    """Takes over the newest state of each host."""

    def __init__(self, nodes: NodeLog, register: Register, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._log = nodes
        self._register = register
        self._steady_s = steady_s
        self._newest: dict[str, tuple[NodeStatus, int]] = {}
        self._heard_s: dict[str, float] = {}

    def heard_s(self, host: str) -> float:
        """When a record of the host was read last, by the steady clock; minus infinity if none was."""
        return self._heard_s.get(host, -math.inf)

    async def once(self) -> None:
        """Write down what has come. What is not written for now stays to be written. Raises StoreUnavailable."""
        for heard in self._log.read():
            status = _status(heard)
            if status is not None:
                self._newest[status.host] = (status, heard.ts_ms)
                self._heard_s[status.host] = self._steady_s()
        if self._newest:
            await asyncio.to_thread(self._record)

    async def run(self, backoff: Backoff) -> None:
        """Follow for ever."""
        while True:
            await backoff.sleep(EVERY_S)
            await attempt(self.once, "control", backoff=backoff)

    def _record(self) -> None:
        """The one that began first is the first to get a number."""
        for host, (status, heard_ms) in sorted(self._newest.items(), key=lambda item: item[1][0].started_ms):
            self._register.record_node(status, heard_ms)
            del self._newest[host]


def _status(heard: Heard) -> NodeStatus | None:
    """What a record says of a host; None for one that says nothing of any, or lies under another's name."""
    if heard.value is None:
        return None
    try:
        message = decode_node(heard.value)
    except BadMessage as error:
        _log.warning("the state of a host cannot be read", error=str(error))
        return None
    return message if isinstance(message, NodeStatus) and heard.key == message.host.encode() else None


class KafkaNodes:
    """Reads the settings' broker, as no group's member."""

    def __init__(self, kafka: Kafka) -> None:
        # a client that is closed while it asks leaves the thread that asks waiting for ever
        self._asking = threading.Lock()
        self._closed = False
        self._client = clients.consumer(kafka, "nodes", "nodes")
        self._topic = Topics.of(kafka).nodes
        self._client.assign([TopicPartition(self._topic, p, OFFSET_BEGINNING) for p in range(kafka.partitions)])

    def read(self) -> Sequence[Heard]:
        """The records that have come since; at once. Raises BrokerUnavailable."""
        try:
            messages = self._client.consume(AT_ONCE, timeout=0)
        except KafkaException as error:
            raise BrokerUnavailable(f"the topic of nodes cannot be read: {error}") from error
        return [Heard(m.key(), m.value(), m.timestamp()[1]) for m in messages if m.error() is None]

    def answers(self) -> bool:
        """Whether the broker answers within five seconds; it does not once this is closed. Thread-safe."""
        with self._asking:
            if self._closed:
                return False
            try:
                self._client.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=5.0)
            except KafkaException:
                return False
            return True

    def close(self) -> None:
        """Leave the broker, once a question that is under way is answered."""
        with self._asking:
            self._closed = True
            self._client.close()
