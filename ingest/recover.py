"""What of a run is already on its frames topic: checkpoint, then the records after it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec
from confluent_kafka import KafkaException, Message, TopicPartition

from core import kafka as clients
from core.bounds import MOST_COUNT, MOST_SECONDS
from core.errors import BrokerUnavailable
from core.ids import Run, StreamId
from core.messages import RunEnd
from core.settings import Kafka
from ingest.offsets import bounds
from ingest.progress import Checkpoint


class FrameMark(msgspec.Struct, frozen=True, tag_field="message", tag="frame"):
    """A `Frame` without its picture."""

    stream_id: StreamId
    run: Run
    seq: int
    index: int
    media_s: float
    held: int = 0

    @property
    def possible(self) -> bool:
        """Whether a frame can stand there; what cannot be is no frame of ours."""
        placed = 0 <= self.seq <= self.index <= MOST_COUNT and 0 <= self.held <= self.index
        return placed and 0.0 <= self.media_s <= MOST_SECONDS


class BeginMark(msgspec.Struct, frozen=True, tag_field="message", tag="run_begin"):
    """A `RunBegin` without its definition."""

    stream_id: StreamId
    run: Run


Mark: TypeAlias = FrameMark | BeginMark | RunEnd
_decoder: msgspec.msgpack.Decoder[Mark] = msgspec.msgpack.Decoder(Mark)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run has on its topic.

    Attributes:
        begun: its `RunBegin` is there.
        last: its newest frame, None before the first.
        end: its `RunEnd`, when it is there.
        offset: from here on nothing of the run was there.
        gated: frames that were held back up to the newest one.
        reached_s: media second that was reached, as far as is known.
    """

    begun: bool = False
    last: FrameMark | None = None
    end: RunEnd | None = None
    offset: int = 0
    gated: int = 0
    reached_s: float = 0.0

    @property
    def next_seq(self) -> int:
        """Sequence of the next frame."""
        return 0 if self.last is None else self.last.seq + 1

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Standing:
        """What a checkpoint alone says."""
        last = FrameMark(
            checkpoint.stream_id, checkpoint.run, checkpoint.next_seq - 1, checkpoint.index, checkpoint.media_s
        )
        known = checkpoint.next_seq > 0
        return cls(
            begun=known,
            last=last if known else None,
            offset=checkpoint.offset,
            gated=checkpoint.gated,
            reached_s=max(checkpoint.media_s, checkpoint.reached_s),
        )

    def with_mark(self, mark: Mark) -> Standing:
        """With one more record of the run."""
        match mark:
            case FrameMark():
                if self.last is not None and mark.seq <= self.last.seq:  # sent again
                    return self
                reached_s = max(self.reached_s, mark.media_s)
                return replace(self, begun=True, last=mark, gated=self.gated + mark.held, reached_s=reached_s)
            case BeginMark():
                return replace(self, begun=True)
            case RunEnd():
                return replace(self, begun=True, end=mark)


def recover(kafka: Kafka, topic: str, partition: int, checkpoint: Checkpoint, timeout_s: float = 60.0) -> Standing:
    """The run's standing now: its checkpoint and every record since. Raises BrokerUnavailable."""
    standing = Standing.of(checkpoint)
    consumer = clients.consumer(kafka, "ingest-recover", "ingest-recover")
    until = time.monotonic() + timeout_s
    try:
        place = TopicPartition(topic, partition)
        low, high = bounds(consumer, topic, partition, timeout_s)
        position = max(low, checkpoint.offset)
        consumer.assign([TopicPartition(topic, partition, position)])
        while position < high:
            if time.monotonic() > until:
                raise BrokerUnavailable(f"{topic} cannot be read to its end")
            for message in consumer.consume(50, timeout=0.2):
                mark = _mark(message, checkpoint)
                standing = standing if mark is None else standing.with_mark(mark)
            reached = consumer.position([place])[0].offset
            position = max(position, reached)
        # a beginning without a frame must be found again: no checkpoint says that it is there
        alone = standing.begun and standing.last is None
        return replace(standing, offset=min(high, checkpoint.offset) if alone else high)
    except KafkaException as error:
        raise BrokerUnavailable(f"{topic} cannot be read: {error}") from error
    finally:
        consumer.close()


def _mark(message: Message, checkpoint: Checkpoint) -> Mark | None:
    """What the record says of the run; None for errors and other runs."""
    if message.error() is not None or message.key() != str(checkpoint.stream_id).encode():
        return None
    try:
        mark = _decoder.decode(message.value() or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if mark.run != checkpoint.run or mark.stream_id != checkpoint.stream_id:
        return None
    return mark if not isinstance(mark, FrameMark) or mark.possible else None
