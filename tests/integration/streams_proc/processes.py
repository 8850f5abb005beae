"""Worker processes, what is fed to them, and what comes out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, Message, TopicPartition

from core import kafka as clients
from core.kafka import admin, consumer, producer
from core.settings import Kafka

HERE = Path(__file__).parent
PATIENCE_S = 120.0


class Worker:
    """One process; `end` ends it well and gives its exit code."""

    def __init__(self, kafka: Kafka, folder: Path, script: str, *arguments: str, **settings: str) -> None:
        self._log = folder / f"{script}-{time.monotonic_ns()}.log"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")},
            "SIGHTLINE_KAFKA__BOOTSTRAP": kafka.address,
            "SIGHTLINE_KAFKA__PREFIX": kafka.prefix,
            "SIGHTLINE_KAFKA__PARTITIONS": str(kafka.partitions),
            "SIGHTLINE_DATA_DIR": str(folder),
            "SIGHTLINE_TELEMETRY__FORMAT": "json",
            **settings,
        }
        target = ["-m", script] if "." in script else [str(HERE / f"{script}.py")]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *target, *arguments],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=HERE.parents[2],
            )

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def wait(self, seconds: float = 40.0) -> int:
        return self.process.wait(seconds)

    def end(self) -> int:
        """SIGTERM."""
        self.process.terminate()
        return self.wait()

    def until(self, text: str) -> None:
        """Wait for a word in its log."""
        wait_for(lambda: text in self.log or self.process.poll() is not None, f"{text!r} in {self.log}")
        assert text in self.log, self.log


@contextmanager
def workers(kafka: Kafka, folder: Path) -> Iterator[Callable[..., Worker]]:
    """A function that starts workers; all of them have ended afterwards."""
    started: list[Worker] = []

    def start(script: str, *arguments: str, **settings: str) -> Worker:
        started.append(Worker(kafka, folder, script, *arguments, **settings))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.kill()


def wait_for(done: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def feed(kafka: Kafka, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    """Publish and wait for the broker."""
    client = producer(kafka, "feed")
    for key, value in records:
        client.produce(topic, key=key, value=value)
        client.poll(0)
    assert client.flush(30) == 0


class Follower:
    """Reads topics from their beginning."""

    def __init__(self, kafka: Kafka, *topics: str) -> None:
        self._client = consumer(kafka, "follow", "follow")
        self._client.assign([TopicPartition(t, p, 0) for t in topics for p in range(kafka.partitions)])
        self.messages: list[Message] = []

    def read(self, seconds: float = 0.0) -> Sequence[Message]:
        """Everything up to now, old and new."""
        while (message := self._client.poll(seconds)) is not None:
            assert message.error() is None, message.error()
            self.messages.append(message)
        return self.messages

    def until(self, done: Callable[[Sequence[Message]], bool], what: str, seconds: float = PATIENCE_S) -> None:
        wait_for(lambda: done(self.read(0.1)), what, seconds)

    def close(self) -> None:
        self._client.close()


@contextmanager
def follow(kafka: Kafka, *topics: str) -> Iterator[Follower]:
    follower = Follower(kafka, *topics)
    try:
        yield follower
    finally:
        follower.close()


def committed(kafka: Kafka, group: str, topic: str) -> Mapping[int, int]:
    """A group's committed offsets."""
    client = consumer(kafka, "committed", group)
    try:
        places = [TopicPartition(topic, p) for p in range(kafka.partitions)]
        return {partition: offset for (_, partition), offset in clients.committed(client, places, 10).items()}
    finally:
        client.close()


def ends(kafka: Kafka, topic: str) -> Mapping[int, int]:
    """Each partition's end, where it is not empty."""
    client = consumer(kafka, "ends", "ends")
    try:
        marks = {p: client.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in range(kafka.partitions)}
        return {partition: high for partition, (_, high) in marks.items() if high}
    finally:
        client.close()


def delete_before(kafka: Kafka, topic: str, offsets: Mapping[int, int]) -> None:
    """Delete records below the offsets, as trimming and retention do."""
    clients.delete_before(admin(kafka), [TopicPartition(topic, p, offset) for p, offset in offsets.items()], 30.0)


def delete_topic(kafka: Kafka, topic: str) -> None:
    client = admin(kafka)
    for future in client.delete_topics([topic]).values():
        future.result(30)


def members(kafka: Kafka, group: str) -> int:
    """Members that hold partitions; -1 when a broker that is busy has not told."""
    client = admin(kafka)
    (future,) = client.describe_consumer_groups([kafka.prefix + group]).values()
    try:
        described = future.result(30)
    except TimeoutError:
        return -1
    return len([member for member in described.members if member.assignment.topic_partitions])


def commit(kafka: Kafka, group: str, topic: str, offsets: Mapping[int, int]) -> None:
    """Commit for a group that has no members; a broker that has just begun refuses it for a while."""
    client = admin(kafka)
    places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
    asked = [ConsumerGroupTopicPartitions(kafka.prefix + group, places)]

    def refused() -> list[Any]:
        (future,) = client.alter_consumer_group_offsets(asked).values()
        return [place.error for place in future.result(30).topic_partitions if place.error is not None]

    until = time.monotonic() + 30
    while errors := refused():
        assert time.monotonic() < until, errors
        time.sleep(0.2)
