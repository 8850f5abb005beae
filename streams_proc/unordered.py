"""The line of a stage whose records are finished in any order; commits go up to the oldest that is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from streams_proc.line import Means, Progress, outcomes_of, publish
from streams_proc.pressure import Pressure
from streams_proc.stage import Record, StatelessStage, TopicPartition
from streams_proc.stateless import Course, StatelessLine

MOST_AHEAD = 500_000
"""Records that may be finished beyond the oldest that is not, of all partitions; only their offsets are kept."""


@dataclass(slots=True)
class Ahead:
    """What is finished of a partition beyond the first record that is not."""

    progress: Progress
    offsets: set[int] = field(default_factory=set)

    def finish(self, offset: int) -> None:
        """One more is finished; `progress.done` goes on as far as all are."""
        self.offsets.add(offset)
        while self.progress.done in self.offsets:
            self.offsets.remove(self.progress.done)
            self.progress.done += 1


class UnorderedLine(StatelessLine):
    """One call a record, as many at once as the stage says.

    A record counts against the bound on bytes until it is finished, not only until it is begun.
    """

    def __init__(self, stage: StatelessStage, means: Means, pressure: Pressure) -> None:
        super().__init__(stage, means, Pressure(_leave, _leave))
        self._pressure = pressure
        self._calls: set[asyncio.Task[None]] = set()
        self._all_begun = asyncio.Event()
        self._ahead: dict[TopicPartition, Ahead] = {}
        self._room = asyncio.Event()
        self._room.set()

    def offer(self, generation: int, record: Record) -> None:
        """A record has been delivered."""
        self._pressure.add(record)
        super().offer(generation, record)

    async def _begin(self, tasks: asyncio.TaskGroup, course: Course) -> None:
        while True:
            await self._room.wait()
            await course.slots.acquire()
            held = await course.gather.take(1)
            if held is None:
                break
            admitted = await self._admit(held)
            if not admitted:
                for _, record in held:
                    self._pressure.remove(record)
                course.slots.release()
            for progress, record in admitted:
                call = tasks.create_task(self._one(progress, record, course))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
        self._all_begun.set()

    async def _finish(self, tasks: asyncio.TaskGroup, course: Course) -> None:
        """Until all that was begun is finished, and nothing more will be."""
        await self._all_begun.wait()
        while self._calls:
            await asyncio.wait(self._calls)

    async def _one(self, progress: Progress, record: Record, course: Course) -> None:
        generation = progress.generation
        outcomes = await outcomes_of(self._means, self._stage.handler, [record], self._stage.name, generation)
        if outcomes is not None and generation == self._means.group.generation:
            tally = self._tally
            tally.add()  # open until the record is done, as in the ordered line
            await publish(self._means, record, outcomes[0], tally)
            tally.settle(None)
            self._finished(progress, record)
        self._pressure.remove(record)
        course.slots.release()
        self._make_room()

    def _finished(self, progress: Progress, record: Record) -> None:
        ahead = self._ahead.get(record.tp)
        if ahead is None or ahead.progress is not progress:
            ahead = self._ahead[record.tp] = Ahead(progress)
        ahead.finish(record.offset)

    def _make_room(self) -> None:
        """Begin more, or wait until the oldest are finished; what an ended generation has left counts no more."""
        generation = self._means.group.generation
        self._ahead = {tp: ahead for tp, ahead in self._ahead.items() if ahead.progress.generation == generation}
        if sum(len(ahead.offsets) for ahead in self._ahead.values()) < MOST_AHEAD:
            self._room.set()
        else:
            self._room.clear()


def _leave(_: TopicPartition) -> None:
    """The line counts bytes by itself."""
