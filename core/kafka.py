"""Kafka clients with the settings that every room needs.

Every producer is idempotent and partitions by murmur2, as Java's and Faust's do, so a stream's
records meet on one partition number whoever wrote them.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from core.errors import BrokerUnavailable, ConfigError
from core.settings import Kafka
from core.topics import definitions

QUIET = {"log_level": 3}
RECONNECT_MS = 1000
"""The longest pause between two attempts: ten seconds by default, which a broker that is back would wait for."""

SILENT = {"log_level": 0}
"""For a client that asks whether a broker is there: a refused connection is an answer, no error."""


def common(kafka: Kafka, client: str) -> dict[str, Any]:
    """librdkafka settings of any client."""
    return {
        "bootstrap.servers": kafka.address,
        "client.id": f"sightline-{client}",
        "reconnect.backoff.max.ms": RECONNECT_MS,
        **QUIET,
        **kafka.security,
    }


RELIABLE = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "linger.ms": 5,
}
"""How every producer sends."""


def producer(kafka: Kafka, client: str, **more: Any) -> Producer:
    """An idempotent producer, acknowledged by all in-sync replicas.

    Args:
        client: name shown in the broker's logs.
        more: librdkafka settings on top.
    """
    return Producer(
        {
            **common(kafka, client),
            **RELIABLE,
            "compression.type": "none",
            "message.max.bytes": kafka.max_message_bytes,
            "queue.buffering.max.kbytes": 65536,
            "delivery.timeout.ms": 600_000,
            **more,
        }
    )


def foreign_producer(servers: str, security: Mapping[str, str], timeout_s: float) -> Producer:
    """A producer of somebody else's broker, idempotent as ours are, and silent: its faults are its receiver's.

    Args:
        servers: host:port list.
        security: librdkafka ``security.*`` and ``sasl.*``.
        timeout_s: after which a record that is not acknowledged has failed.
    """
    return Producer(
        {
            "bootstrap.servers": servers,
            "client.id": "sightline-callbacks",
            "reconnect.backoff.max.ms": RECONNECT_MS,
            **SILENT,
            **security,
            **RELIABLE,
            "queue.buffering.max.kbytes": 8192,
            "delivery.timeout.ms": int(timeout_s * 1000),
        }
    )


def consumer(kafka: Kafka, client: str, group: str, **more: Any) -> Consumer:
    """A consumer that commits only when told to.

    Args:
        group: consumer group without the prefix.
    """
    return Consumer(
        {
            **common(kafka, client),
            "group.id": kafka.prefix + group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": kafka.max_message_bytes,
            "queued.max.messages.kbytes": 65536,
            **more,
        }
    )


def admin(kafka: Kafka) -> AdminClient:
    """An administration client."""
    return AdminClient(common(kafka, "admin"))


def committed(client: Consumer, places: list[TopicPartition], timeout_s: float) -> Mapping[tuple[str, int], int]:
    """The committed offset of each place (topic, partition) that has one.

    Raises:
        KafkaException: no answer, or not of all: a coordinator that has just begun knows some later than others.
    """
    answers = client.committed(places, timeout=timeout_s)
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return {(answer.topic, answer.partition): answer.offset for answer in answers if answer.offset >= 0}


def delete_before(client: AdminClient, places: list[TopicPartition], timeout_s: float) -> None:
    """Delete the records below the offset of each place.

    Raises:
        KafkaException, TimeoutError: not all are deleted.
    """
    # the client gives back a reference to its argument that it was never given (mended in 2.16, see pyproject.toml)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(places))
    for future in client.delete_records(places, request_timeout=timeout_s).values():
        future.result(timeout_s)


def ready(kafka: Kafka, timeout_s: float = 5.0) -> bool:
    """Whether the broker answers a metadata request; quiet about a broker that does not."""
    try:
        AdminClient({**common(kafka, "admin"), **SILENT}).list_topics(timeout=timeout_s)
    except KafkaException:
        return False
    return True


def ensure_topics(kafka: Kafka, timeout_s: float = 30.0) -> tuple[str, ...]:
    """Create the topics that are missing; returns their names.

    Raises:
        BrokerUnavailable: the broker does not answer.
        ConfigError: a topic exists with another number of partitions than the settings say.
    """
    client = admin(kafka)
    try:
        existing = client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise BrokerUnavailable(f"no broker answers at {kafka.address}: {error}") from error
    wanted = definitions(kafka)
    for topic in wanted:
        found = existing.get(topic.name)
        if found is not None and len(found.partitions) != topic.partitions:
            raise ConfigError(
                f"topic {topic.name} has {len(found.partitions)} partitions and kafka.partitions says "
                f"{topic.partitions}: keys would move; set it back, or start with an empty broker"
            )
    missing = [topic for topic in wanted if topic.name not in existing]
    if not missing:
        return ()
    futures = client.create_topics(
        [NewTopic(t.name, t.partitions, kafka.replication, config=t.config) for t in missing],
        operation_timeout=timeout_s,
    )
    for name, future in futures.items():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerUnavailable(f"topic {name} cannot be created: {error}") from error
    _wait_visible(client, [t.name for t in missing], timeout_s)
    return tuple(t.name for t in missing)


def _wait_visible(client: AdminClient, names: list[str], timeout_s: float) -> None:
    """Until every new topic has its leaders; a consumer that subscribes before sees nothing."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        topics = client.list_topics(timeout=timeout_s).topics
        if all(n in topics and all(p.leader >= 0 for p in topics[n].partitions.values()) for n in names):
            return
        time.sleep(0.1)
    raise BrokerUnavailable(f"topics without a leader after {timeout_s:.0f} s: {', '.join(names)}")
