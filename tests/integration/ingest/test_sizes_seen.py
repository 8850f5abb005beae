"""A look at what is unread sees every record that it asks for."""

from __future__ import annotations

import pytest

from core import kafka as clients
from core.settings import Kafka
from core.topics import Topics
from ingest.record_sizes import AT_ONCE, RecordSizes

pytestmark = pytest.mark.kafka


def test_each_of_several_records_of_one_partition_is_seen_in_turn(kafka: Kafka) -> None:
    topic, largest = Topics.of(kafka).frames_batch, 50_000
    producer = clients.producer(kafka, "test")
    for look in range(AT_ONCE):
        for place in range(AT_ONCE):
            producer.produce(topic, bytes(largest if place == look else 1_000), partition=0)
        assert producer.flush(10) == 0
    sizes = RecordSizes(kafka, topic)
    seen = []
    for look in range(AT_ONCE):
        sizes.look({0: range(look * AT_ONCE, (look + 1) * AT_ONCE)})  # as few as are asked for: each is
        seen.append(sizes.estimate)
    sizes.close()
    assert seen == [largest] * AT_ONCE
