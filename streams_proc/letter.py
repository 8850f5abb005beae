"""What a dead letter is on its topic: the original bytes, and headers that tell where they come from and why."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from core.errors import InvalidInput
from streams_proc.stage import Output, Record

LONGEST_TEXT = 4096
REPLAY_OF = "sightline_replay_of"
"""Header of a record that was put back: the letter's id."""
OURS = frozenset(
    {"origin_topic", "origin_partition", "origin_offset", "origin_key", "stage", "reason", "trace", REPLAY_OF}
)


@dataclass(frozen=True, slots=True, order=True)
class LetterId:
    """Place of a letter on the topic of dead letters; ``2/17`` as text."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> LetterId:
        """Read ``partition/offset``. Raises InvalidInput."""
        partition, slash, offset = text.partition("/")
        if not (slash and partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
            raise InvalidInput(f"{text!r} is no dead letter; it is named as in `sightline dlq list`, such as 2/17")
        return cls(int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter as it lies on its topic.

    Attributes:
        timestamp_ms: when it was written.
        reason: the error's type and sentence.
        topic, partition, offset, key: of the original record.
        value: the original bytes; None for a record without, and in lists.
        headers: the original record's own.
        size: bytes of the original value.
        replay_of: id of the letter of which the original record was a replay; empty for none.
    """

    id: LetterId
    timestamp_ms: int
    stage: str
    reason: str
    trace: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    size: int
    replay_of: str = ""

    @property
    def kind(self) -> str:
        """Type of the error."""
        return self.reason.partition(":")[0]

    @property
    def origin(self) -> str:
        """Place of the original record as text."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def letter_of(topic: str, stage: str, record: Record, error: BaseException) -> Output:
    """The letter about a record that can never succeed."""
    trace = "".join(traceback.format_exception(error))[-LONGEST_TEXT:]
    return Output(
        topic,
        origin(record).encode(),
        record.value,
        {
            **record.headers,
            "origin_topic": record.topic.encode(),
            "origin_partition": str(record.partition).encode(),
            "origin_offset": str(record.offset).encode(),
            **({} if record.key is None else {"origin_key": record.key}),
            "stage": stage.encode(),
            "reason": f"{type(error).__name__}: {error}"[:LONGEST_TEXT].encode(),
            "trace": trace.encode(),
        },
    )


def read_letter(message: Message) -> Letter:
    """A record of the topic; what its headers do not say is empty, so whatever lies there can be shown."""
    headers = {name: value or b"" for name, value in message.headers() or []}

    def text(name: str) -> str:
        return headers.get(name, b"").decode(errors="replace")

    def number(name: str) -> int:
        return int(text(name)) if text(name).isascii() and text(name).isdigit() else -1

    value = message.value()
    return Letter(
        id=LetterId(message.partition() or 0, message.offset() or 0),
        timestamp_ms=message.timestamp()[1],
        stage=text("stage"),
        reason=text("reason"),
        trace=text("trace"),
        topic=text("origin_topic"),
        partition=number("origin_partition"),
        offset=number("origin_offset"),
        key=headers.get("origin_key"),
        value=value,
        headers={name: value for name, value in headers.items() if name not in OURS},
        size=len(value or b""),
        replay_of=text(REPLAY_OF),
    )


def origin(record: Record) -> str:
    """A record's place as text: ``topic/partition/offset``."""
    return f"{record.topic}/{record.partition}/{record.offset}"
