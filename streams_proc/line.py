"""What the two lines share: the group they serve, and where each partition's reading stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core import log
from core.errors import FatalError, GapError
from core.metrics import counter
from streams_proc.attempt import Backoff, attempt
from streams_proc.dead_letters import DeadLetters
from streams_proc.origin import Origin
from streams_proc.publish import Publisher, Tally
from streams_proc.stage import Handler, Outcome, Record, TopicPartition

_log = log.get(__name__)


class Group(Protocol):
    """The consumer group, as far as a line needs it."""

    @property
    def generation(self) -> int:
        """Number of the membership that holds now; another at each rebalance."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit the next offsets; False when the partitions have gone to someone else."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a line works with.

    Attributes:
        cut_messages, cut_s: after so many records or seconds what is done is committed.
    """

    group: Group
    publisher: Publisher
    origin: Origin
    letters: DeadLetters
    cut_messages: int
    cut_s: float
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True)
class Progress:
    """A partition's reading within one generation.

    Attributes:
        next: offset of the record that must come next.
        done: offset up to which outcomes have been handed to the producer.
        cut: offset up to which a commit has begun.
    """

    tp: TopicPartition
    generation: int
    next: int
    done: int
    cut: int

    @classmethod
    def begin(cls, tp: TopicPartition, generation: int, next_offset: int) -> Progress:
        """Nothing read yet in this generation."""
        return cls(tp, generation, next_offset, next_offset, next_offset)

    def admits(self, record: Record, stage: str) -> bool:
        """Whether it is the next record; False for one that was read before.

        Raises:
            GapError: records in between have not come.
        """
        if record.offset < self.next:
            counter("sightline_stage_messages_total").labels(stage, "replayed").inc()
            return False
        if record.offset > self.next:
            raise GapError(
                f"{self.tp.topic}/{self.tp.partition}: offset {record.offset} came and {self.next} is next; "
                "the process ends so that nothing is passed over"
            )
        self.next += 1
        return True


async def start_of(means: Means, tp: TopicPartition, stage: str) -> tuple[int | None, int]:
    """What is committed (None: nothing yet), and where reading begins for it: never before what is still kept."""
    found = await attempt(lambda: asyncio.to_thread(means.origin.start, tp), stage, backoff=means.backoff)
    assert found is not None
    committed, low = found
    if committed is not None and committed < low:
        _log.warning("records have gone unread", stage=stage, topic=tp.topic, partition=tp.partition, n=low - committed)
        counter("sightline_stage_messages_total").labels(stage, "expired").inc(low - committed)
    return committed, low if committed is None else max(committed, low)


async def outcomes_of(
    means: Means, handler: Handler, records: list[Record], stage: str, generation: int
) -> list[Outcome] | None:
    """The handler's answer, asked again while it fails for now; None when the generation has ended.

    Raises:
        FatalError: another number of outcomes, or a call that was cancelled by somebody inside it.
    """
    try:
        answer = await attempt(
            lambda: handler.handle(records), stage, lambda: means.group.generation == generation, means.backoff
        )
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise FatalError(f"{stage}: a call was cancelled") from error  # a task group would pass over it
    if answer is None:
        return None
    if len(answer) != len(records):
        raise FatalError(f"{stage} answered {len(answer)} outcomes for {len(records)} records")
    return list(answer)


async def publish(means: Means, record: Record, outcome: Outcome, tally: Tally) -> None:
    """Hand over one record's outputs, its dead letter among them."""
    for output in means.letters.outputs(record, outcome):
        await means.publisher.send(output, tally)
