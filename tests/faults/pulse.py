"""When the line works again after a fault: what came after it has passed the place that was hurt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from aiokafka.partitioner import murmur2
from confluent_kafka import Consumer, KafkaException, TopicPartition

from core.ids import StreamId
from core.kafka import consumer
from core.settings import Kafka, Settings
from core.topics import Topics

LOOK_S = 0.1
ASK_S = 2.0
"""A client that asks while the broker starts may wait for the whole of it, and is then replaced: what is measured is
late by as much."""

OF_NOBODY = "faults"
"""Group of the client that asks where logs end."""

Ends = Mapping[tuple[str, int], int]


class Offsets:
    """Asks the broker, through clients of the groups that are no members.

    An administrator's questions about groups, asked while the broker is away, can end the process (librdkafka). A
    client that had no answer may never see a partition again: it is replaced.
    """

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._clients: dict[str, Consumer] = {}

    def end(self, topic: str, partition: int) -> int:
        """Where a log ends now. Raises KafkaException."""
        with self._client(OF_NOBODY) as client:
            _, end = client.get_watermark_offsets(TopicPartition(topic, partition), ASK_S)
        return int(end)

    def committed(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """Offsets by partition; negative where nothing is committed. Raises KafkaException."""
        with self._client(group) as client:
            found = client.committed([TopicPartition(topic, partition) for partition in partitions], ASK_S)
        return {place.partition: place.offset for place in found}

    def close(self) -> None:
        """Leave the broker."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @contextmanager
    def _client(self, group: str) -> Iterator[Consumer]:
        if group not in self._clients:
            self._clients[group] = consumer(self._kafka, "pulse", group)
        try:
            yield self._clients[group]
        except KafkaException:
            self._clients.pop(group).close()
            raise


class Pulse:
    """Follows the partitions of some live streams, whose frames come all the time.

    Args:
        streams: those that run now.
        over: when (monotonic) the first of them ends; from then on it is enough that nothing waits.

    Attributes:
        steps: seconds until each part of the last recovery was seen; where it stands still is where it is late.
    """

    def __init__(self, settings: Settings, offsets: Offsets, streams: Sequence[StreamId], over: float) -> None:
        self.steps: dict[str, float] = {}
        self._over = over
        self._offsets = offsets
        topics = Topics.of(settings.kafka)
        self._partitions = sorted({_partition(stream, settings.kafka.partitions) for stream in streams})
        self._frames = topics.frames_live
        self._inputs = {
            "detect": topics.frames_live,
            "analyse": topics.detections,
            "control": topics.stream_status,
            "sink-clickhouse": topics.tracks,
            "sink-lancedb": topics.tracks,
            "sink-media": topics.tracks,
            "notify": topics.stream_status,
        }

    def groups_behind(self, process: str) -> tuple[str, ...]:
        """Whose work shows that a process does its own."""
        line = ("detect", "analyse", "sink-clickhouse")
        of = {
            "kafka": line,
            "models": ("detect",),
            "clickhouse": ("sink-clickhouse",),
            "ingest": (),
            "reader": (),
            "query": (),
            "all": line,
        }
        return of.get(process, (process,))

    def ends(self, topics: Sequence[str]) -> Ends:
        """Where the logs end now. Raises KafkaException."""
        places = [(topic, partition) for topic in topics for partition in self._partitions]
        return {place: self._offsets.end(*place) for place in places}

    def recovery_s(self, process: str, since: float, patience_s: float) -> float | None:
        """Seconds from `since` (monotonic) until frames that came after now have passed; None: not within patience."""
        groups = self.groups_behind(process)
        topics = sorted({self._inputs[group] for group in groups} | {self._frames})
        until = since + patience_s
        self.steps = {}
        start = self._insist(topics, until)
        if start is not None:
            self._step("logs", since)
        waiting = set(groups)
        while start is not None and time.monotonic() < until:
            try:
                if "frames" not in self.steps and self._moved(start):
                    self._step("frames", since)
                for group in sorted(waiting):
                    if self._passed(group, start):
                        waiting.remove(group)
                        self._step(group, since)
            except KafkaException:
                pass
            if "frames" in self.steps and not waiting:
                return max(self.steps.values())
            time.sleep(LOOK_S)
        return None

    def _step(self, part: str, since: float) -> None:
        self.steps[part] = time.monotonic() - since

    def _insist(self, topics: Sequence[str], until: float) -> Ends | None:
        while time.monotonic() < until:
            try:
                return self.ends(topics)
            except KafkaException:
                time.sleep(LOOK_S)
        return None

    def _moved(self, start: Ends) -> bool:
        now = self.ends([self._frames])
        return time.monotonic() > self._over or all(
            now[self._frames, p] > start[self._frames, p] for p in self._partitions
        )

    def _passed(self, group: str, start: Ends) -> bool:
        """Whether the group has committed past where its input ended."""
        topic = self._inputs[group]
        committed = self._offsets.committed(group, topic, self._partitions)
        if time.monotonic() > self._over:
            now = self.ends([topic])
            return all(offset >= now[topic, partition] for partition, offset in committed.items())
        return all(offset > start[topic, partition] for partition, offset in committed.items())


def _partition(stream: StreamId, partitions: int) -> int:
    """Where every producer puts the stream's key."""
    return int(murmur2(str(stream).encode()) & 0x7FFFFFFF) % partitions
