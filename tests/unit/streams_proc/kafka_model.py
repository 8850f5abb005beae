"""Kafka and a consumer group in memory, with processes that crash, sleep, wake up and write late.

The broker is what Kafka promises and no more: a log for each partition; a producer's records of one
partition arrive in their order, or not at all, and are acknowledged some time after; only a member
of the generation that holds may commit; a process that is stalled goes on with what it believes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from core.errors import BadMessage, FatalError, ModelUnavailable
from streams_proc.attempt import Backoff
from streams_proc.line import Means
from streams_proc.publish import Tally
from streams_proc.snapshots import Snapshot, newest
from streams_proc.stage import Outcome, Output, Poison, Record, TopicPartition
from tests.unit.streams_proc.stage_fakes import means
from tests.unit.streams_proc.stepping import SteppedLoop

POISON = b"poison"
Id = tuple[int, int]
"""An output's id within its partition: offset of the record, number of the output."""


class Broker:
    """The logs, and who holds what."""

    def __init__(self, partitions: int) -> None:
        self.inputs: list[list[bytes]] = [[] for _ in range(partitions)]
        self.low = [0] * partitions
        self.outputs: dict[tuple[str, int], list[Output]] = defaultdict(list)
        self.committed: dict[int, int] = {}
        self.generation = 0
        self.holds: dict[Process, set[int]] = {}

    def record(self, partition: int, offset: int) -> Record:
        return Record("in", partition, offset, str(partition).encode(), self.inputs[partition][offset])

    def expected(self, partition: int, offset: int) -> list[tuple[Id, str]]:
        """What an undisturbed pass publishes for a record: ids and contents, a fold over the log so far."""
        digest = ""
        for value in self.inputs[partition][: offset + 1]:
            digest = fold(digest, value)
        return [((offset, number), digest) for number in range(outputs_of(self.inputs[partition][offset]))]

    def snapshot(self, partition: int) -> tuple[Snapshot | None, tuple[bytes, ...]]:
        return newest((o.key, o.value) for o in self.outputs["snaps", partition])


def fold(digest: str, value: bytes) -> str:
    return hashlib.sha1(digest.encode() + value).hexdigest()[:12]


def outputs_of(value: bytes) -> int:
    """How many outputs a record has: none, one, two or three by its value; poison has one in its place."""
    return 1 if value == POISON else value[0] % 4


@dataclass(slots=True, eq=False)
class Sent:
    """A record in a producer: on its way, in the log, or acknowledged (then it is forgotten)."""

    topic: str
    partition: int
    output: Output
    tally: Tally
    arrived: bool = False


class Line(Protocol):
    def offer(self, generation: int, record: Record) -> None: ...
    def stop(self) -> None: ...
    async def run(self) -> None: ...


Make = Callable[["Process", Means], Line]


@dataclass(eq=False)
class Process:
    """One worker: group, producer, origin and handler as its line sees them, and its line."""

    broker: Broker
    make: Make
    loop: SteppedLoop
    cut_messages: int = 3
    room: int = 8
    generation: int = 0
    past: tuple[int, dict[int, int]] = (0, {})
    position: dict[int, int] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    begun: dict[int, int] = field(default_factory=dict)
    dead: bool = False
    lost: bool = False
    answering: bool = True
    committing: bool = True
    failures: int = 0
    calls: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shared = means(self, self, self, cut_messages=self.cut_messages, cut_s=1.0, most=10**9)  # type: ignore[arg-type]
        self.line = self.make(self, replace(shared, backoff=Backoff(asyncio.sleep, lambda: 1.0)))
        self.task = self.loop.create_task(self.line.run())

    # --- the group

    def learn(self) -> None:
        """Hear of the generation that holds, and begin where it is committed."""
        self.past = (self.generation, dict(self.position))
        self.generation = self.broker.generation
        held = self.broker.holds.get(self, set())
        self.position = {p: max(self.broker.committed.get(p, 0), self.broker.low[p]) for p in held}
        self.begun = {}

    @property
    def current(self) -> bool:
        return not self.dead and self in self.broker.holds and self.generation == self.broker.generation

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        while not self.committing:  # noqa: ASYNC110  # a coordinator that is slow to answer
            await asyncio.sleep(0.05)
        if not self.current:
            return False
        for tp, offset in offsets.items():
            assert offset >= self.broker.committed.get(tp.partition, 0), "a commit never goes back"
            self.broker.committed[tp.partition] = offset
        return True

    def deliver(self, partition: int, count: int) -> None:
        for _ in range(count):
            offset = self.position[partition]
            if offset < len(self.broker.inputs[partition]):
                self.line.offer(self.generation, self.broker.record(partition, offset))
                self.position[partition] += 1

    def deliver_left_over(self, partition: int) -> None:
        """A record that Faust fetched in a generation that has ended meanwhile."""
        generation, position = self.past
        offset = position.get(partition, 0)
        if generation and offset < len(self.broker.inputs[partition]):
            self.line.offer(generation, self.broker.record(partition, offset))
            position[partition] = offset + 1

    # --- the origin

    def start(self, tp: TopicPartition) -> tuple[int | None, int]:
        return self.broker.committed.get(tp.partition), self.broker.low[tp.partition]

    def snapshot(self, topic: str, partition: int) -> tuple[Snapshot | None, tuple[bytes, ...]]:
        return self.broker.snapshot(partition)

    # --- the producer

    async def send(self, output: Output, tally: Tally, partition: int = -1) -> None:
        tally.add()
        while len(self.sent) >= self.room and not self.dead:  # noqa: ASYNC110  # as confluent-kafka's full buffer
            await asyncio.sleep(0.01)
        if self.lost:
            tally.settle("refused")
            raise FatalError("an earlier output is lost")
        if partition < 0:
            partition = int(output.key.split(b"/")[1 if output.topic == "dead" else 0])
        self.sent.append(Sent(output.topic, partition, output, tally))

    def places(self) -> list[tuple[str, int]]:
        return sorted({(s.topic, s.partition) for s in self.sent})

    def arrive(self, place: tuple[str, int], count: int) -> None:
        """The broker has the next records of a partition; nobody has been told."""
        waiting = [s for s in self.sent if (s.topic, s.partition) == place and not s.arrived]
        for one in waiting[:count]:
            one.arrived = True
            self.broker.outputs[place].append(one.output)

    def acknowledge(self, place: tuple[str, int], count: int) -> None:
        told = [s for s in self.sent if (s.topic, s.partition) == place and s.arrived][:count]
        self.sent = [s for s in self.sent if s not in told]
        for one in told:
            one.tally.settle(None)

    def confirm_all(self) -> None:
        for place in self.places():
            self.arrive(place, len(self.sent))
            self.acknowledge(place, len(self.sent))

    def refuse(self) -> None:
        """A record is lost for good, and so is all that has not arrived: nothing may follow a hole."""
        self.lost = True
        lost = [s for s in self.sent if not s.arrived]
        self.sent = [s for s in self.sent if s.arrived]
        for one in lost:
            one.tally.settle("refused")

    # --- the handler

    async def answer(self, records: Sequence[Record]) -> None:
        """One call's time in the model server."""
        for record in records:
            self.begun[record.partition] = max(self.begun.get(record.partition, -1), record.offset)
        if not self.answering:
            call = self.loop.create_future()
            self.calls.append(call)
            await call
        if self.failures:
            self.failures -= 1
            raise ModelUnavailable("shedding")

    def let_answer(self, number: int) -> None:
        call = self.calls.pop(number)
        if not call.done():
            call.set_result(None)

    # --- its end

    def crash(self) -> None:
        """What has not arrived never does; nothing that the process does on its way counts."""
        self.dead = True
        self.broker.holds.pop(self, None)
        self.task.cancel()
        self.loop.settle()


def out(record: Record, digest: str) -> Outcome:
    """The outputs of a record, each with id and content."""
    value = record.value or b""
    outputs = tuple(
        Output("out", record.key or b"", json.dumps({"id": (record.offset, number), "content": digest}).encode())
        for number in range(outputs_of(value))
    )
    return Poison(BadMessage("poison"), outputs) if value == POISON else outputs


class Folding:
    """A handler with state: a digest of all records so far."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._digest = ""
        self._busy = False

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        assert not self._busy, "called before it has answered"
        self._busy = True
        try:
            await self._process.answer(records)
        finally:
            self._busy = False
        outcomes = []
        for record in records:
            self._digest = fold(self._digest, record.value or b"")
            outcomes.append(out(record, self._digest))
        return outcomes

    def snapshot(self) -> bytes | None:
        return self._digest.encode() or None

    def restore(self, data: bytes) -> None:
        self._digest = data.decode()


class Copying:
    """A handler without state: its content is the record's value and place."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        await self._process.answer(records)
        return [
            out(record, self._process.broker.expected(record.partition, record.offset)[0][1])
            if outputs_of(record.value or b"")
            else ()
            for record in records
        ]
