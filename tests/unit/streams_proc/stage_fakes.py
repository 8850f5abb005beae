"""A group, a producer and an origin without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from core.errors import BrokerUnavailable, TransientError
from core.settings import DeadLetters as Limits
from streams_proc.attempt import Backoff
from streams_proc.dead_letters import DeadLetters
from streams_proc.line import Means
from streams_proc.pressure import Pressure
from streams_proc.publish import Tally
from streams_proc.snapshots import Snapshot, newest
from streams_proc.stage import Output, Record, TopicPartition


class FakeGroup:
    def __init__(self) -> None:
        self.generation = 1
        self.committed: list[dict[TopicPartition, int]] = []

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        self.committed.append(dict(offsets))
        return True

    @property
    def position(self) -> dict[TopicPartition, int]:
        merged: dict[TopicPartition, int] = {}
        for offsets in self.committed:
            merged.update(offsets)
        return merged


class FakePublisher:
    """Keeps what is sent; confirms at once, or when `release` is called."""

    def __init__(self, confirm: bool = True) -> None:
        self.confirm = confirm
        self.sent: list[Output] = []
        self.partitions: list[int] = []
        self._open: list[Tally] = []

    async def send(self, output: Output, tally: Tally, partition: int = -1) -> None:
        tally.add()
        self.sent.append(output)
        self.partitions.append(partition)
        if self.confirm:
            tally.settle(None)
        else:
            self._open.append(tally)

    def release(self, error: str | None = None) -> None:
        for tally in self._open:
            tally.settle(error)
        self._open.clear()

    def values(self, topic: str) -> list[bytes | None]:
        return [output.value for output in self.sent if output.topic == topic]


class FakeOrigin:
    def __init__(self, committed: int | None = None, low: int = 0) -> None:
        self.committed = committed
        self.low = low
        self.failures = 0
        self.asked = 0
        self.records: list[tuple[bytes, bytes | None]] = []

    def start(self, tp: TopicPartition) -> tuple[int | None, int]:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("not yet")
        return self.committed, self.low

    def snapshot(self, topic: str, partition: int) -> tuple[Snapshot | None, tuple[bytes, ...]]:
        return newest(self.records)


class Echo:
    """Answers each record with itself; what `script` holds is raised or awaited first."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.failures: list[TransientError] = []

    async def handle(self, records: Sequence[Record]) -> list[list[Output]]:
        self.calls.append([record.offset for record in records])
        if self.failures:
            raise self.failures.pop(0)
        return [[Output("out", record.key or b"", record.value)] for record in records]


def record(offset: int, partition: int = 0, topic: str = "in", value: bytes | None = None) -> Record:
    text = f"{topic}/{partition}/{offset}".encode()
    return Record(topic, partition, offset, b"key", text if value is None else value)


def no_pressure() -> Pressure:
    return Pressure(lambda tp: None, lambda tp: None)


def means(
    group: FakeGroup,
    publisher: FakePublisher,
    origin: FakeOrigin,
    *,
    cut_messages: int = 1,
    cut_s: float = 3600.0,
    most: int = 100,
) -> Means:
    return Means(
        group=group,
        publisher=publisher,
        origin=origin,
        letters=DeadLetters("dead", "stage", Limits(in_a_row=most)),
        cut_messages=cut_messages,
        cut_s=cut_s,
        backoff=Backoff(sleep=lambda _: asyncio.sleep(0), jitter=lambda: 1.0),
    )


async def settle(turns: int = 200) -> None:
    """Let everything that can go on go on; threads included."""
    for _ in range(turns):
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None) if _ % 20 == 0 else None
