"""Where a run's reading stands, on the compacted topic `ingest-progress`.

A checkpoint is written before the first record of a run, about every second while it is read, and
once more when it has ended; so whoever takes over looks only at the records after it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from core import kafka as clients
from core.bounds import MOST_COUNT, MOST_OFFSET, MOST_RUN, MOST_SECONDS, check_key
from core.errors import BadMessage, BrokerUnavailable
from core.ids import Run, StreamId
from core.log import get
from core.messages import IngestCounts, Lane, StreamProblem, VideoInfo
from core.metrics import counter
from core.settings import Kafka
from core.topics import Topics
from ingest.offsets import bounds

log = get(__name__)
ANSWER_S = 4.0
"""Less than a reader's lease: a host that waits for the broker still renews it."""

FETCH_WAIT_MS = 10

State = Literal["running", "done", "failure", "stop"]


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where reading stands; everything below `next_seq` is acknowledged.

    Attributes:
        offset: in the partition of `frames.*`: records of the run after this point lie at or above it.
        next_seq: sequence of the next frame to publish.
        index: position of the last published frame among the decoded ones; -1 before the first.
        media_s: of that frame.
        gated: frames that the motion gate has held back up to the last published one.
        reached_s: media second of the last decoded frame.
    """

    stream_id: StreamId
    run: Run
    lane: Lane
    state: State = "running"
    offset: int = 0
    next_seq: int = 0
    index: int = -1
    media_s: float = 0.0
    counts: IngestCounts = IngestCounts()
    video: VideoInfo | None = None
    problems: tuple[StreamProblem, ...] = ()
    error: str | None = None
    ephemeral: bool = False
    gated: int = 0
    reached_s: float = 0.0


_decoder = msgspec.json.Decoder(Checkpoint)


def encode(checkpoint: Checkpoint) -> bytes:
    """JSON of a checkpoint."""
    return msgspec.json.encode(checkpoint)


def decode(value: bytes) -> Checkpoint:
    """Read a checkpoint. Raises BadMessage."""
    try:
        checkpoint = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(str(error)) from error
    if not (
        1 <= checkpoint.run <= MOST_RUN
        and 0 <= checkpoint.offset <= MOST_OFFSET
        and 0 <= checkpoint.next_seq <= MOST_COUNT
        and -1 <= checkpoint.index <= MOST_COUNT
        and 0.0 <= checkpoint.media_s <= MOST_SECONDS
        and 0 <= checkpoint.gated <= MOST_COUNT
        and 0.0 <= checkpoint.reached_s <= MOST_SECONDS
    ):
        raise BadMessage("a checkpoint that stands nowhere")
    return checkpoint


class ProgressLog:
    """The newest checkpoint of every stream in the partitions that a host holds."""

    def __init__(self, kafka: Kafka) -> None:
        self._topic = Topics.of(kafka).ingest_progress
        # a fetch that waits for more holds up the next look, at another partition, for as long
        looks = {"enable.partition.eof": True, "fetch.wait.max.ms": FETCH_WAIT_MS}
        self._connect = partial(clients.consumer, kafka, "ingest-progress", "ingest-progress-readers", **looks)
        self._consumer = self._connect()
        self._next: dict[int, int] = {}
        self._found: dict[int, dict[str, Checkpoint]] = {}

    def hold(self, partitions: Sequence[int]) -> None:
        """Follow these partitions and no other; what was known of a newly held one is read again."""
        self._next = {p: self._next.get(p, 0) for p in partitions}
        self._found = {p: self._found.get(p, {}) for p in partitions}

    def of(self, partition: int, stream: str, timeout_s: float = ANSWER_S) -> Checkpoint | None:
        """The newest checkpoint of `stream`, as of now. Raises BrokerUnavailable."""
        self._catch_up(partition, timeout_s)
        return self._found[partition].get(stream)

    def all(self, partition: int, timeout_s: float = ANSWER_S) -> dict[str, Checkpoint]:
        """Newest checkpoints of the partition by stream id, as of now. Raises BrokerUnavailable."""
        self._catch_up(partition, timeout_s)
        return dict(self._found[partition])

    def _catch_up(self, partition: int, timeout_s: float) -> None:
        try:
            self._read_on(partition, timeout_s)
        except (KafkaException, BrokerUnavailable) as error:
            # a client that has lost sight of a partition may never see it again; a new one does
            self._consumer.close()
            self._consumer = self._connect()
            raise BrokerUnavailable(f"{self._topic} cannot be read: {error}") from error

    def _read_on(self, partition: int, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        low, high = bounds(self._consumer, self._topic, partition, timeout_s)
        position = max(self._next[partition], low)
        if position >= high:
            return
        self._consumer.assign([TopicPartition(self._topic, partition, position)])
        while position < high:
            if time.monotonic() > until:
                raise BrokerUnavailable("its end was not reached in time")
            # one by one: asking for many waits until there are so many, or the time is over
            message = self._consumer.poll(0.5)
            if message is None or message.partition() != partition:
                continue
            if message.error() is None:
                self._note(partition, message.key(), message.value())
                position = message.offset() + 1
            elif message.error().code() == KafkaError._PARTITION_EOF:
                position = high  # the last records before it have been compacted away
        self._consumer.unassign()
        self._next[partition] = position

    def _note(self, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Take over a checkpoint; what cannot be read leaves the one before in force."""
        name = (key or b"").decode("utf-8", "replace")
        if value is None:
            self._found[partition].pop(name, None)
            return
        try:
            checkpoint = decode(value)
            check_key(key, checkpoint.stream_id)
            self._found[partition][name] = checkpoint
        except BadMessage as error:
            counter("sightline_ingest_unreadable_total").labels("ingest-progress").inc()
            log.warning("a checkpoint cannot be read", stream=name, error=str(error))

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
