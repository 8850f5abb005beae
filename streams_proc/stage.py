"""What a stage is: records in, outputs out, and nothing about how they are delivered.

`streams_proc.line` delivers: a handler never sees offsets to commit, generations or retries. It
may not assume that a record comes once: after a crash the same records come again, with the state
that was restored for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from core.errors import SightlineError


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it lies in Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    timestamp_ms: int = 0

    @property
    def tp(self) -> TopicPartition:
        """Where it lies."""
        return TopicPartition(self.topic, self.partition)

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True, slots=True)
class Output:
    """One record to publish; the same key is the same partition number on every topic."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Poison:
    """In place of a record's outputs: the record can never succeed and goes to the dead letters.

    Attributes:
        error: why; one whose policy is to be a dead letter.
        outputs: published in the record's place, so that whoever reads on has no gap.
    """

    error: SightlineError
    outputs: Sequence[Output] = ()


Outcome: TypeAlias = Sequence[Output] | Poison


class Handler(Protocol):
    """A stage without state: one object for all partitions."""

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """The outcome of each record, in the records' order.

        Records of one partition come in order; it may be called again before it has answered.

        Raises:
            TransientError: the same call is made again, later, until it succeeds.
            Exception: anything else ends the process; the records come again after a restart.
        """
        ...


class StatefulHandler(Handler, Protocol):
    """A stage whose state lives in memory: one object for each partition it holds.

    `handle` is never called before the last call has answered. A call that raises TransientError
    leaves the state as it was before the call, because the same call is made again.
    """

    def snapshot(self) -> bytes | None:
        """The state after the last answered record; None when there is nothing to keep."""
        ...

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave. Raises SnapshotError for what it cannot read."""
        ...


@dataclass(frozen=True, slots=True)
class StatelessStage:
    """A stage whose handler gets batches across partitions.

    Attributes:
        name: of the stage, its consumer group and its metrics.
        topics: what it reads.
        batch: most records of one call.
        linger_s: how long a call waits to be full.
        in_flight: calls at once.
        ordered: calls finish in the order in which they began; else each record by itself, in any order, so that
            one that takes long holds nobody up but the commit.
        gulp_s: how long the broker gathers records before it answers.
        apart: each topic has calls of its own, `in_flight` of them, so that none waits behind another's; while a
            topic has records, calls about those named after it hold one record each. Ordered stages only.
        closes: whether a record is one that a call does not wait for others with, however long `linger_s` is.
    """

    name: str
    topics: tuple[str, ...]
    handler: Handler
    batch: int
    linger_s: float = 0.0
    in_flight: int = 1
    ordered: bool = True
    gulp_s: float = 0.0
    apart: bool = False
    closes: Callable[[Record], bool] = lambda record: False

    def __post_init__(self) -> None:
        """Raises ValueError for what no line does."""
        if self.apart and not self.ordered:
            raise ValueError(f"{self.name}: records that are finished in any order need no calls of their own")


@dataclass(frozen=True, slots=True)
class StatefulStage:
    """A stage with a handler for each partition, whose state is kept on the topic `snapshots`."""

    name: str
    topic: str
    snapshots: str
    make: Callable[[], StatefulHandler]
