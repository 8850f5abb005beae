"""The line of a stage without state: batches across partitions, several at once, finished in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.metrics import counter
from streams_proc.gather import Gather, Held
from streams_proc.line import Means, Progress, outcomes_of, publish, start_of
from streams_proc.pressure import Pressure
from streams_proc.publish import Tally
from streams_proc.stage import Outcome, Record, StatelessStage, TopicPartition

STANDING_BACK_S = 1.0
"""So long after an earlier course was last at work the later ones' calls are as small as they can be."""

Admitted = list[tuple[Progress, Record]]
Begun = tuple[Admitted, asyncio.Task[list[Outcome] | None]]


@dataclass(slots=True)
class Course:
    """What waits for a call, room for calls, and those that are begun; their order is kept within a course.

    Attributes:
        begun: None after the last one.
        running: calls that are begun and not finished.
        at_work: when the last record was delivered, or the last call finished.
    """

    gather: Gather
    slots: asyncio.Semaphore
    begun: asyncio.Queue[Begun | None] = field(default_factory=asyncio.Queue)
    running: int = 0
    at_work: float = -STANDING_BACK_S

    def busy(self, now: float) -> bool:
        """Whether it is at work, or was lately."""
        return self.running > 0 or not self.gather.empty or now - self.at_work < STANDING_BACK_S


class StatelessLine:
    """Takes what Faust delivers, asks the handler, publishes, commits.

    What is committed has been answered, and all its outputs confirmed.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self, stage: StatelessStage, means: Means, pressure: Pressure, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._stage = stage
        self._means = means
        together = [(topic,) for topic in stage.topics] if stage.apart else [stage.topics]
        self._courses = [Course(Gather(pressure, stage.closes), asyncio.Semaphore(stage.in_flight)) for _ in together]
        self._course_of = {
            topic: course for topics, course in zip(together, self._courses, strict=True) for topic in topics
        }
        self._progress: dict[TopicPartition, Progress] = {}
        self._tally = Tally()
        self._since_cut = 0
        self._cut_lock = asyncio.Lock()
        self._cutting: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    def offer(self, generation: int, record: Record) -> None:
        """A record has been delivered."""
        course = self._course_of[record.topic]
        course.at_work = self._clock()
        course.gather.put(Held(generation, record))

    def stop(self) -> None:
        """Begin nothing more; `run` returns after what is begun has been finished and committed."""
        for course in self._courses:
            course.gather.close()

    async def run(self) -> None:
        """Work until `stop`. Raises what ended the line, in an exception group."""
        async with asyncio.TaskGroup() as tasks:
            timer = tasks.create_task(self._cut_by_time())
            working = [
                tasks.create_task(part(tasks, course))
                for course in self._courses
                for part in (self._begin, self._finish)
            ]
            await asyncio.wait(working)
            self._ended.set()  # no cancelling: a cut under way has taken what no other cut can take again
            await timer
            await self._cut()

    async def _begin(self, tasks: asyncio.TaskGroup, course: Course) -> None:
        while True:
            await course.slots.acquire()
            await course.gather.wait()
            held = await course.gather.take(self._most(course), self._stage.linger_s)
            if held is None:
                break
            admitted = await self._admit(held)
            if not admitted:
                course.slots.release()
                continue
            records = [record for _, record in admitted]
            generation = admitted[0][0].generation
            call = outcomes_of(self._means, self._stage.handler, records, self._stage.name, generation)
            course.running += 1
            course.begun.put_nowait((admitted, tasks.create_task(call)))
        course.begun.put_nowait(None)

    def _most(self, course: Course) -> int:
        """Records of the next call: one, while an earlier course is busy, which must not wait for a whole batch."""
        earlier = self._courses[: self._courses.index(course)]
        return 1 if any(each.busy(self._clock()) for each in earlier) else self._stage.batch

    async def _admit(self, held: list[Held]) -> Admitted:
        """The records of the generation that holds, each the next of its partition."""
        group = self._means.group
        for generation, record in held:
            if generation == group.generation and not self._knows(record.tp, generation):
                _, start = await start_of(self._means, record.tp, self._stage.name)
                self._progress[record.tp] = Progress.begin(record.tp, generation, start)
        admitted: Admitted = []
        for generation, record in held:
            if generation == group.generation and self._knows(record.tp, generation):
                progress = self._progress[record.tp]
                if progress.admits(record, self._stage.name):
                    admitted.append((progress, record))
        return admitted

    def _knows(self, tp: TopicPartition, generation: int) -> bool:
        progress = self._progress.get(tp)
        return progress is not None and progress.generation == generation

    async def _finish(self, tasks: asyncio.TaskGroup, course: Course) -> None:
        """In the order in which calls began, which is the records' order in every partition."""
        while (begun := await course.begun.get()) is not None:
            admitted, call = begun
            outcomes = await call
            course.slots.release()
            course.running -= 1
            course.at_work = self._clock()
            if outcomes is None:
                continue
            for (progress, record), outcome in zip(admitted, outcomes, strict=True):
                if progress.generation != self._means.group.generation:
                    # an earlier call may have been given up when the generation ended: what follows
                    # it must not stand on the topic before its records, which come again
                    break
                tally = self._tally
                # the record itself is open in the tally: a cut that begins between two of its
                # outputs waits for both, because the next cut, which commits it, knows neither
                tally.add()
                await publish(self._means, record, outcome, tally)
                tally.settle(None)
                progress.done = record.offset + 1
            self._since_cut += len(admitted)
            if self._since_cut >= self._means.cut_messages:
                if self._cutting is not None:
                    await self._cutting
                self._cutting = tasks.create_task(self._cut())

    async def _cut_by_time(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._means.cut_s):
                    await self._ended.wait()
            await self._cut()

    async def _cut(self) -> None:
        async with self._cut_lock:
            # one cut: no await until everything of it is taken
            self._since_cut = 0
            generation = self._means.group.generation
            tally, self._tally = self._tally, Tally()
            offsets = {}
            for tp, progress in self._progress.items():
                if progress.generation == generation and progress.done > progress.cut:
                    offsets[tp] = progress.cut = progress.done
            await tally.confirmed()
            if offsets and self._means.group.generation == generation and await self._means.group.commit(offsets):
                counter("sightline_stage_commits_total").labels(self._stage.name).inc(len(offsets))
