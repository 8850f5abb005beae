"""Following one stream through the pipeline's topics, for an analysis that is answered at once.

A follower takes the end of every partition before the stream is submitted and reads on from
there, so that it misses nothing; it belongs to no consumer group and commits nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from confluent_kafka import KafkaException, TopicPartition

from core import kafka as clients
from core.errors import BadMessage, BrokerUnavailable
from core.ids import EventId, StreamId
from core.log import get
from core.messages import (
    Event,
    FrameDetections,
    FrameTracks,
    RunBegin,
    RunEnd,
    StreamStatus,
    VideoInfo,
    decode_detections,
    decode_event,
    decode_status,
    decode_tracks,
)
from core.settings import Kafka
from core.topics import Topics
from query_api.refusals import Busy, TooLarge
from warehouse.rows import FrameCounts, RunTrackPoint

log = get(__name__)
POLL_S = 0.2
GRACE_S = 5.0
BATCH = 500
STAGES = frozenset({"detections", "tracks", "events"})
QUEUE_KB = 16 * 1024
"""Records fetched ahead of one follower, KiB."""

MOST_BYTES = 128 * 1024**2
"""Of one analysis: its tracks' places and its events, which are kept to answer it."""

POINT_BYTES = 512
"""A track's place in a frame, in memory."""


class Follower(Protocol):
    """One stream's messages, collected until its run has passed every topic."""

    def collect(self, cancelled: threading.Event, timeout_s: float) -> Collected | None:
        """Everything of the run; None when `cancelled` was set. Blocks.

        Raises:
            Busy: it is not done after `timeout_s`.
            TooLarge: its result is too large to be kept in memory.
        """
        ...

    def close(self) -> None:
        """End the connection."""
        ...


@dataclass(slots=True)
class Collected:
    """What was heard of a run so far; replays are passed over.

    Attributes:
        ended: topics that the run has passed.
        failed: the status of a run that ended without ever beginning.
    """

    video: VideoInfo | None = None
    end: RunEnd | None = None
    failed: StreamStatus | None = None
    processed: int = 0
    dead_lettered: int = 0
    points: list[RunTrackPoint] = field(default_factory=list)
    events: dict[EventId, Event] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    last_detections: int = -1
    last_tracks: int = -1
    bytes_kept: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing more will come."""
        return self.ended >= STAGES

    @property
    def counts(self) -> FrameCounts:
        """Frames that were analysed, and that could not be."""
        return FrameCounts(self.processed, self.dead_lettered)

    def take_detections(self, value: bytes | None) -> None:
        """A record of `detections`."""
        match decode_detections(value):
            case RunBegin() as begin:
                self.video = begin.video
            case RunEnd() as end:
                self._end("detections", end)
            case FrameDetections() as frame if frame.seq > self.last_detections:
                self.last_detections = frame.seq
                if frame.error is None:
                    self.processed += 1
                else:
                    self.dead_lettered += 1

    def take_tracks(self, value: bytes | None) -> None:
        """A record of `tracks`; pictures and embeddings in it are not kept."""
        match decode_tracks(value):
            case RunEnd() as end:
                self._end("tracks", end)
            case FrameTracks() as frame if frame.seq > self.last_tracks:
                self.last_tracks = frame.seq
                self._keep(POINT_BYTES * (len(frame.tracks) + len(frame.earlier)))
                self.points.extend(RunTrackPoint(e.seq, e.index, e.media_s, e.ts_ms, e.track) for e in frame.earlier)
                self.points.extend(
                    RunTrackPoint(frame.seq, frame.index, frame.media_s, frame.ts_ms, track) for track in frame.tracks
                )

    def take_event(self, value: bytes | None) -> None:
        """A record of `events`; the highest number of an event stays."""
        match decode_event(value):
            case RunEnd() as end:
                self._end("events", end)
            case Event() as event:
                known = self.events.get(event.event_id)
                if known is None or event.number >= known.number:
                    self._keep(len(value or b"") if known is None else 0)
                    self.events[event.event_id] = event

    def take_status(self, value: bytes | None) -> None:
        """A record of `stream-status`; only an end without a beginning matters."""
        status = decode_status(value)
        if status.state in {"failure", "stop", "done"} and status.counts.read == 0:
            self.failed = status

    def _keep(self, size: int) -> None:
        self.bytes_kept += size
        if self.bytes_kept > MOST_BYTES:
            raise TooLarge("the result is too large to be answered at once; ask for a deferred analysis")

    def _end(self, topic: str, end: RunEnd) -> None:
        self.ended.add(topic)
        self.end = end


class KafkaFollower:
    """Reads all partitions of the four topics and keeps what has the stream's key."""

    def __init__(self, kafka: Kafka, stream: StreamId, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises BrokerUnavailable."""
        names = Topics.of(kafka)
        self._key = str(stream).encode()
        self._clock = clock
        self._take: dict[str, Callable[[Collected, bytes | None], None]] = {
            names.detections: Collected.take_detections,
            names.tracks: Collected.take_tracks,
            names.events: Collected.take_event,
            names.stream_status: Collected.take_status,
        }
        self._consumer: Any = clients.consumer(
            kafka, "query-follower", f"query-{stream}", **{"queued.max.messages.kbytes": QUEUE_KB}
        )
        try:
            self._consumer.assign(self._ends(kafka.partitions))
        except KafkaException as error:
            self._consumer.close()
            raise BrokerUnavailable(f"the broker does not say where its topics end: {error}") from error

    def _ends(self, partitions: int) -> list[TopicPartition]:
        found = []
        for topic in self._take:
            for number in range(partitions):
                _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=5.0)
                found.append(TopicPartition(topic, number, high))
        return found

    def collect(self, cancelled: threading.Event, timeout_s: float) -> Collected | None:
        """See `Follower.collect`."""
        collected = Collected()
        until = self._clock() + timeout_s
        while not cancelled.is_set():
            for record in self._consumer.consume(BATCH, POLL_S):
                if record.error() is None and record.key() == self._key:
                    self._hear(collected, record)
            now = self._clock()
            if collected.complete:
                return collected
            if collected.failed is not None and not collected.ended:
                until = min(until, now + GRACE_S)
            if now >= until:
                if collected.failed is not None:
                    return collected
                raise Busy(f"the analysis was not done within {timeout_s:g} s; ask for a deferred one")
        return None

    def _hear(self, collected: Collected, record: Any) -> None:
        """Take a record; one that cannot be read is passed over, as every stage does."""
        try:
            self._take[record.topic()](collected, record.value())
        except BadMessage as error:
            log.warning("a record is passed over", topic=record.topic(), offset=record.offset(), error=str(error))

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


class KafkaFollowers:
    """Opens followers on the settings' broker."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    def open(self, stream: StreamId) -> KafkaFollower:
        """See `ports.Followers.open`."""
        return KafkaFollower(self._kafka, stream)
