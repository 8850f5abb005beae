"""When the line works again after a fault: what came after it has passed the place that was hurt."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from aiokafka.partitioner import murmur2
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from core.ids import StreamId
from core.kafka import admin
from core.settings import Settings
from core.topics import Topics

LOOK_S = 0.1
ASK_S = 5.0
NO_ANSWER = (KafkaException, TimeoutError)
Ends = Mapping[tuple[str, int], int]


class Pulse:
    """Follows the partitions of some live streams, whose frames come all the time.

    Args:
        streams: those that run now.
        over: when (monotonic) the first of them ends; from then on it is enough that nothing waits.
    """

    def __init__(self, settings: Settings, streams: Sequence[StreamId], over: float) -> None:
        self._over = over
        self._kafka = settings.kafka
        topics = Topics.of(settings.kafka)
        self._admin = admin(settings.kafka)
        self._partitions = sorted({_partition(stream, settings.kafka.partitions) for stream in streams})
        self._frames = topics.frames_live
        self._inputs = {
            "detect": topics.frames_live,
            "analyse": topics.detections,
            "control": topics.stream_status,
            "sink-clickhouse": topics.tracks,
            "sink-lancedb": topics.tracks,
            "sink-media": topics.tracks,
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
        """Where the logs end now. Raises what is in `NO_ANSWER`."""
        wanted = {TopicPartition(topic, p): OffsetSpec.latest() for topic in topics for p in self._partitions}
        futures = self._admin.list_offsets(wanted, request_timeout=ASK_S)
        return {(tp.topic, tp.partition): future.result(ASK_S).offset for tp, future in futures.items()}

    def recovery_s(self, process: str, since: float, patience_s: float) -> float | None:
        """Seconds from `since` (monotonic) until frames that came after now have passed; None: not within patience."""
        groups = self.groups_behind(process)
        topics = sorted({self._inputs[group] for group in groups} | {self._frames})
        until = since + patience_s
        start = self._insist(topics, until)
        waiting = set(groups)
        fresh = False
        while start is not None and time.monotonic() < until:
            try:
                fresh = fresh or self._moved(start)
                waiting = {group for group in waiting if not self._passed(group, start)}
            except NO_ANSWER:
                pass
            if fresh and not waiting:
                return time.monotonic() - since
            time.sleep(LOOK_S)
        return None

    def _insist(self, topics: Sequence[str], until: float) -> Ends | None:
        while time.monotonic() < until:
            try:
                return self.ends(topics)
            except NO_ANSWER:
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
        places = [TopicPartition(topic, p) for p in self._partitions]
        request = ConsumerGroupTopicPartitions(self._kafka.prefix + group, places)
        (future,) = self._admin.list_consumer_group_offsets([request], request_timeout=ASK_S).values()
        committed = future.result(ASK_S).topic_partitions
        if time.monotonic() > self._over:
            now = self.ends([topic])
            return all(tp.offset >= now[topic, tp.partition] for tp in committed)
        return all(tp.offset > start[topic, tp.partition] for tp in committed)


def _partition(stream: StreamId, partitions: int) -> int:
    """Where every producer puts the stream's key."""
    return int(murmur2(str(stream).encode()) & 0x7FFFFFFF) % partitions
