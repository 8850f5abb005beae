"""Where a partition begins and ends."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from core.errors import BrokerUnavailable

ANSWER_S = 5.0
AGAIN_S = 0.2


def bounds(consumer: Consumer, topic: str, partition: int, timeout_s: float = 30.0) -> tuple[int, int]:
    """Offsets of the oldest kept record and of the next one to come.

    A partition that is new, or is moving, is asked for again for a while.

    Raises:
        BrokerUnavailable: no answer within `timeout_s`.
    """
    until = time.monotonic() + timeout_s
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S, cached=False)
        except KafkaException as error:
            if time.monotonic() > until:
                raise BrokerUnavailable(f"{topic}/{partition} cannot be seen: {error}") from error
            time.sleep(AGAIN_S)
        else:
            return low, high
