"""What every producer and consumer of the project is made with."""

from __future__ import annotations

import ast
import gc
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition

from core import kafka as clients
from core.settings import Kafka
from core.topics import Topics, definitions

ROOT = Path(__file__).parents[3]
ROOMS = ("core", "ingest", "inference", "streams_proc", "warehouse", "query_api", "infra")


def test_every_producer_is_idempotent() -> None:
    # librdkafka itself refuses weaker acknowledgements for an idempotent producer, and only for one
    with pytest.raises(KafkaException, match="`acks` must be set to `all`"):
        clients.producer(Kafka(), "test", acks=1)


def test_producers_take_frames_and_partition_as_everybody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(clients, "Producer", made.append)
    clients.producer(Kafka(max_message_bytes=5_000_000), "test")
    (settings,) = made
    assert settings["message.max.bytes"] == 5_000_000
    assert settings["partitioner"] == "murmur2_random", "the partition that Java and Faust choose"


def test_no_consumer_commits_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(clients, "Consumer", made.append)
    clients.consumer(Kafka(), "test", "group")
    assert (made[0]["enable.auto.commit"], made[0]["enable.auto.offset.store"]) == (False, False)


def test_what_is_given_to_a_deletion_is_still_ours_after_it() -> None:
    # a list that is freed while it is used is some other object's memory: a process stood still that slept on it
    client = clients.admin(Kafka(port=1))
    places = [TopicPartition("frames", 0, 1)]
    spare = [places] * 9
    held = sys.getrefcount(places)
    for _ in range(3):
        with pytest.raises((KafkaException, TimeoutError)):
            clients.delete_before(client, places, 0.1)
    gc.collect()
    assert sys.getrefcount(places) == held
    del spare


def test_nobody_makes_a_producer_of_another_kind() -> None:
    makers = set()
    for path in (p for room in ROOMS for p in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"Producer", "AIOProducer"}:
                makers.add(path.relative_to(ROOT).as_posix())
    assert makers == {"core/kafka.py"}


def test_what_a_stage_reads_has_no_holes() -> None:
    """A compacted log has, and would be a gap for ever; so has one with transactions."""
    kafka = Kafka()
    topics = Topics.of(kafka)
    read = {
        topics.frames_live,
        topics.frames_batch,
        topics.detections,
        topics.tracks,
        topics.events,
        topics.stream_status,
        topics.stream_changes,
        topics.task_ends,
    }
    policies = {topic.name: topic.config["cleanup.policy"] for topic in definitions(kafka)}
    assert {policies[name] for name in read} == {"delete"}
