"""What a stage is: records in, outputs out, and nothing about how they are delivered.

`streams_proc.line` and `streams_proc.host` deliver: a handler never sees Kafka, offsets to commit,
generations or retries. It may not assume that a record comes once: after a crash the same records
come again, with the state that was restored for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from core.errors import PoisonError


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
        error: why.
        outputs: published in the record's place, so that whoever reads on has no gap.
    """

    error: PoisonError
    outputs: Sequence[Output] = ()


Outcome: TypeAlias = Sequence[Output] | Poison


class Handler(Protocol):
    """A stage without state, shared by all partitions, or with `snapshot` one for each partition."""

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """The outcome of each record, in the records' order.

        A handler without state may be called again before it has answered; one with state never.

        Raises:
            PoisonError: only for a call of one record; a call of more is then made record by record.
            TransientError: the same call is made again, later.
        """
        ...


class StatefulHandler(Handler, Protocol):
    """A stage whose state lives in memory, one object for each partition it holds."""

    def snapshot(self) -> bytes | None:
        """The state after the last answered record; None when there is nothing to keep."""
        ...

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave. Raises SnapshotError for what it cannot read."""
        ...
