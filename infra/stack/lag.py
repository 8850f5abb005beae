"""How far behind each consumer group is."""

from __future__ import annotations

from collections.abc import Iterable

from core.kafka import admin
from core.settings import Kafka

TIMEOUT_S = 5.0


def lags(kafka: Kafka, groups: Iterable[str]) -> dict[str, int]:
    """Records between what a group has committed and the end of its topics; groups that never committed are left out.

    Raises:
        BrokerUnavailable: no broker answers in time.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition  # noqa: PLC0415 - heavy
    from confluent_kafka.admin import OffsetSpec  # noqa: PLC0415

    from core.errors import BrokerUnavailable  # noqa: PLC0415

    client = admin(kafka)
    found: dict[str, int] = {}
    try:
        for group in groups:
            asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(kafka.prefix + group)])
            (answer,) = [future.result(TIMEOUT_S) for future in asked.values()]
            committed = [tp for tp in answer.topic_partitions if tp.error is None and tp.offset >= 0]
            if not committed:
                continue
            ends = client.list_offsets(
                {TopicPartition(tp.topic, tp.partition): OffsetSpec.latest() for tp in committed}
            )
            last = {(tp.topic, tp.partition): future.result(TIMEOUT_S).offset for tp, future in ends.items()}
            found[group] = sum(max(0, last[tp.topic, tp.partition] - tp.offset) for tp in committed)
    except (KafkaException, TimeoutError) as error:
        raise BrokerUnavailable(f"no broker answers at {kafka.address}: {error}") from error
    return found
