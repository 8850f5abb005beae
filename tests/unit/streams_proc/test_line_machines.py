"""All lines against the model of Kafka: whatever dies, sleeps or comes late, nothing is lost or changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.errors import BrokerUnavailable, FatalError
from streams_proc.line import Means
from streams_proc.stage import Output, Record, StatefulStage, StatelessStage
from streams_proc.stateful import StatefulLine
from streams_proc.stateless import StatelessLine
from streams_proc.unordered import UnorderedLine
from tests.unit.streams_proc.kafka_model import POISON, Broker, Copying, Folding, Id, Line, Process
from tests.unit.streams_proc.stage_fakes import no_pressure
from tests.unit.streams_proc.stepping import SteppedLoop

PARTITIONS = 2
partitions = st.integers(0, PARTITIONS - 1)
values = st.one_of(st.binary(min_size=2, max_size=2), st.just(POISON))
few = st.integers(1, 6)
numbers = st.integers(0, 5)
somebody = precondition(lambda machine: machine.living)


class Lines(RuleBasedStateMachine):
    """What holds for any line; a subclass says which."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.loop = SteppedLoop()
        self.broker = Broker(PARTITIONS)
        self.all: list[Process] = []
        self.seen: dict[int, dict[Id, str]] = {p: {} for p in range(PARTITIONS)}
        self.letters: dict[int, set[int]] = {p: set() for p in range(PARTITIONS)}
        self.looked: dict[tuple[str, int], int] = {}

    def make(self, process: Process, means: Means) -> Line:
        raise NotImplementedError

    @property
    def living(self) -> list[Process]:
        return [p for p in self.all if not p.dead]

    @initialize(both=st.booleans())
    def first(self, both: bool) -> None:
        processes = [self._begin(), self._begin()] if both else [self._begin()]
        self._assign(processes, [0, 1])

    # --- the log and its delivery

    @rule(partition=partitions, some=st.lists(values, min_size=1, max_size=6))
    def append(self, partition: int, some: list[bytes]) -> None:
        self.broker.inputs[partition] += some

    @somebody
    @rule(who=numbers, which=numbers, count=few)
    def deliver(self, who: int, which: int, count: int) -> None:
        process = self._one(who)
        if process.position:
            process.deliver(sorted(process.position)[which % len(process.position)], count)
            self.loop.settle()

    @somebody
    @rule(who=numbers, some=st.lists(values, min_size=1, max_size=4), steps=st.integers(0, 5))
    def work(self, who: int, some: list[bytes], steps: int) -> None:
        """An ordinary day, as far as it gets: outputs, snapshot, commit, old snapshots."""
        process = self._one(who)
        for partition in sorted(process.position):
            self.broker.inputs[partition] += some
            process.deliver(partition, len(some))
        self.loop.settle()
        for _ in range(steps):
            process.confirm_all()
            self.loop.pass_time(0.3)

    # --- the group

    @somebody
    @rule(whom=st.lists(numbers, min_size=PARTITIONS, max_size=PARTITIONS), asleep=st.integers(0, 7))
    def rebalance(self, whom: list[int], asleep: int) -> None:
        """A new generation; those asleep do not hear of it, and hold nothing in it."""
        awake = [p for i, p in enumerate(self.living) if not asleep >> i & 1]
        if awake:
            self._assign(awake, whom)
            self.loop.settle()

    @precondition(lambda self: len(self.living) < 3)
    @rule(whom=st.lists(numbers, min_size=PARTITIONS, max_size=PARTITIONS))
    def join(self, whom: list[int]) -> None:
        self._begin()
        self._assign(self.living, whom)
        self.loop.settle()

    @precondition(lambda self: 0 < len(self.living) < 5)
    @rule(who=numbers, kill=st.booleans())
    def come_back_with_the_same_identity(self, who: int, kill: bool) -> None:
        """A static member that starts again keeps generation and partitions; who had them before is fenced."""
        process = self._one(who)
        if process.current:
            held = self.broker.holds.pop(process)
            if kill:
                process.crash()
            another = self._begin()
            self.broker.holds[another] = held
            another.learn()
            self.loop.settle()

    @somebody
    @rule(who=numbers, how=st.sampled_from(["crash", "before the commit", "end_well", "give_up"]))
    def end(self, who: int, how: str) -> None:
        process = self._one(who)
        if how == "before the commit":
            process.committing = False
            for _ in range(3):
                process.confirm_all()
                self.loop.pass_time(1.0)
        if how == "end_well":
            self._end_well(process)
        if how == "give_up":
            self._give_up(process)
        process.crash()

    # --- producer, coordinator, handler and time

    @somebody
    @rule(who=numbers, which=numbers, count=few, tell=st.booleans())
    def arrive(self, who: int, which: int, count: int, tell: bool) -> None:
        process = self._one(who)
        if places := process.places():
            place = places[which % len(places)]
            process.arrive(place, count)
            if tell:
                process.acknowledge(place, count)
            self.loop.settle()

    @somebody
    @rule(who=numbers)
    def confirm(self, who: int) -> None:
        self._one(who).confirm_all()
        self.loop.settle()

    @somebody
    @rule(who=numbers, what=st.sampled_from(["commits", "answers", "fails", "left over", "trim"]), number=few)
    def trouble(self, who: int, what: str, number: int) -> None:
        process = self._one(who)
        partition = number % PARTITIONS
        match what:
            case "commits":
                process.committing = not process.committing
            case "answers":
                process.answering = not process.answering
            case "fails":
                process.failures = number
            case "left over":
                process.deliver_left_over(partition)
            case "trim":  # retention, or DeleteRecords, of what has been read
                self.broker.low[partition] = self.broker.committed.get(partition, 0)
        self.loop.settle()

    @somebody
    @rule(who=numbers, which=numbers)
    def answer(self, who: int, which: int) -> None:
        process = self._one(who)
        if process.calls:
            process.let_answer(which % len(process.calls))
            self.loop.settle()

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.pass_time(seconds)

    # --- what must hold

    @invariant()
    def outputs_come_in_order_and_duplicates_are_equal(self) -> None:
        for partition in range(PARTITIONS):
            seen = self.seen[partition]
            for output in self._new("out", partition):
                value = json.loads(output.value or b"")
                found: Id = tuple(value["id"])
                if found not in seen:
                    assert found == self._next(partition), f"{found} comes where {self._next(partition)} is next"
                    seen[found] = value["content"]
                assert (found, seen[found]) in self.broker.expected(partition, found[0])
                assert seen[found] == value["content"]
            for output in self._new("dead", partition):
                self.letters[partition].add(int(output.key.split(b"/")[2]))

    @invariant()
    def what_is_committed_has_its_outputs(self) -> None:
        for partition, committed in self.broker.committed.items():
            for offset in range(committed):
                for one, _ in self.broker.expected(partition, offset):
                    assert one in self.seen[partition], f"{one} is lost: {committed} is committed"
                if self.broker.inputs[partition][offset] == POISON:
                    assert offset in self.letters[partition]

    @invariant()
    def nobody_has_ended_by_itself(self) -> None:
        for process in self.living:
            if process.task.done():
                process.task.result()
                raise AssertionError("the line has ended")

    def teardown(self) -> None:
        try:
            self._heal()
        finally:
            for process in self.all:
                process.dead = True
            self.loop.end()
            logging.disable(logging.NOTSET)

    def _heal(self) -> None:
        """One process more, and time: everything is there once, and committed."""
        for process in self.living:
            process.crash()
        last = self._begin()
        self._assign([last], [0] * PARTITIONS)
        for _ in range(100):
            for partition in range(PARTITIONS):
                last.deliver(partition, 5)
            last.confirm_all()
            self.loop.pass_time(1.0)
            if all(self.broker.committed.get(p, 0) == len(log) for p, log in enumerate(self.broker.inputs)):
                break
        self.outputs_come_in_order_and_duplicates_are_equal()
        self.what_is_committed_has_its_outputs()
        self.nobody_has_ended_by_itself()
        for partition, log in enumerate(self.broker.inputs):
            assert self.broker.committed.get(partition, 0) == len(log)
            assert self._next(partition) is None

    def _begin(self) -> Process:
        self.all.append(Process(self.broker, self.make, self.loop))
        return self.all[-1]

    def _one(self, who: int) -> Process:
        return self.living[who % len(self.living)]

    def _assign(self, awake: list[Process], whom: list[int]) -> None:
        self.broker.generation += 1
        self.broker.holds = {process: set() for process in awake}
        for partition, index in enumerate(whom):
            self.broker.holds[awake[index % len(awake)]].add(partition)
        for process in awake:
            process.learn()

    def _end_well(self, process: Process) -> None:
        current = process.current
        process.answering = process.committing = True
        process.line.stop()
        for _ in range(60):
            while process.calls:
                process.let_answer(0)
            process.confirm_all()
            self.loop.pass_time(1.0)
            if process.task.done():
                break
        assert process.task.done(), "it does not end"
        process.task.result()
        for partition, offset in process.begun.items() if current else ():
            assert self.broker.committed[partition] > offset, "what was begun has not been committed"

    def _give_up(self, process: Process) -> None:
        """The producer loses a record: if anything waits for it, the process ends with that error."""
        if any(not s.arrived for s in process.sent):
            process.refuse()
            for _ in range(3):
                process.confirm_all()
                self.loop.pass_time(1.0)
        if process.task.done():
            error = process.task.exception()
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            assert isinstance(error, BrokerUnavailable | FatalError), repr(error)

    def _new(self, topic: str, partition: int) -> Iterator[Output]:
        log = self.broker.outputs[topic, partition]
        begin = self.looked.get((topic, partition), 0)
        self.looked[topic, partition] = len(log)
        yield from log[begin:]

    def _next(self, partition: int) -> Id | None:
        """Id of the output that no one has seen yet."""
        last = max(self.seen[partition], default=(-1, 0))
        for offset in range(max(0, last[0]), len(self.broker.inputs[partition])):
            for one, _ in self.broker.expected(partition, offset):
                if one > last:
                    return one
        return None


class StatefulLines(Lines):
    """The line with state, whose snapshots lie on a topic."""

    def make(self, process: Process, means: Means) -> Line:
        return StatefulLine(StatefulStage("stage", "in", "snaps", lambda: Folding(process)), means, no_pressure())

    @invariant()
    def the_commit_is_never_ahead_of_the_newest_snapshot(self) -> None:
        for partition, committed in self.broker.committed.items():
            newest, _ = self.broker.snapshot(partition)
            assert newest is not None and newest.next >= committed


class StatelessLines(Lines):
    """The line without state, with two calls at once."""

    def make(self, process: Process, means: Means) -> Line:
        stage = StatelessStage("stage", ("in",), Copying(process), batch=3, linger_s=0.01, in_flight=2)
        return StatelessLine(stage, means, no_pressure())


class Relabelled:
    """A line of two topics: the model's partitions 0 and 1 lie on one each."""

    def __init__(self, line: StatelessLine) -> None:
        self._line = line
        self.run = line.run
        self.stop = line.stop

    def offer(self, generation: int, record: Record) -> None:
        """A record has been delivered."""
        self._line.offer(generation, replace(record, topic=f"in{record.partition}"))


class ApartLines(Lines):
    """The line without state whose topics have calls of their own, the second's small while the first has records."""

    def make(self, process: Process, means: Means) -> Line:
        stage = StatelessStage(
            "stage", ("in0", "in1"), Copying(process), batch=3, linger_s=0.01, in_flight=2, apart=True
        )
        return Relabelled(StatelessLine(stage, means, no_pressure(), self.loop.time))


class UnorderedLines(Lines):
    """The line whose records are finished in any order, a few at once."""

    def make(self, process: Process, means: Means) -> Line:
        stage = StatelessStage("stage", ("in",), Copying(process), batch=1, in_flight=5, ordered=False)
        return UnorderedLine(stage, means, no_pressure())

    @invariant()
    def outputs_come_in_order_and_duplicates_are_equal(self) -> None:
        """In whatever order, but each is what its record says."""
        for partition in range(PARTITIONS):
            for output in self._new("out", partition):
                value = json.loads(output.value or b"")
                found: Id = tuple(value["id"])
                self.seen[partition][found] = value["content"]
                assert (found, value["content"]) in self.broker.expected(partition, found[0])
            for output in self._new("dead", partition):
                self.letters[partition].add(int(output.key.split(b"/")[2]))


SHORT = settings(max_examples=60, stateful_step_count=50, phases=(Phase.explicit, Phase.generate))
TestStatefulLines = StatefulLines.TestCase
TestStatefulLines.settings = SHORT
TestStatelessLines = StatelessLines.TestCase
TestStatelessLines.settings = SHORT
TestApartLines = ApartLines.TestCase
TestApartLines.settings = SHORT
TestUnorderedLines = UnorderedLines.TestCase
TestUnorderedLines.settings = SHORT


def test_a_forerunner_of_the_same_generation_that_writes_late_spoils_nothing() -> None:
    """Static membership: the process that comes back has the generation's number of the one that sleeps."""
    world = StatefulLines()
    try:
        world.first(both=False)
        world.append(partition=0, some=[b"\x01%d" % i for i in range(9)])
        (sleeper,) = world.living
        sleeper.deliver(0, 3)
        world.loop.settle()
        for place in (("out", 0), ("snaps", 0)):  # its snapshot of 3 records is on its way when it falls asleep
            sleeper.arrive(place, 9 if place[0] == "out" else 0)
            sleeper.acknowledge(place, 9)
            world.loop.settle()
        assert ("snaps", 0) in sleeper.places()
        world.come_back_with_the_same_identity(who=0, kill=False)
        heir = world.living[-1]
        assert heir.generation == sleeper.generation
        heir.deliver(0, 6)
        for _ in range(8):
            heir.confirm_all()
            world.time_passes(1.0)
        assert world.broker.committed[0] == 6
        sleeper.confirm_all()
        world.loop.settle()
        world.outputs_come_in_order_and_duplicates_are_equal()
        world.the_commit_is_never_ahead_of_the_newest_snapshot()
    finally:
        world.teardown()


def test_a_process_killed_between_snapshot_and_commit_repeats_nothing_into_the_state() -> None:
    world = StatefulLines()
    try:
        world.first(both=False)
        world.append(partition=0, some=[b"\x01%d" % i for i in range(9)])
        world.deliver(who=0, which=0, count=4)
        world.end(who=0, how="before the commit")
        newest, _ = world.broker.snapshot(0)
        assert newest is not None and newest.next == 3
        assert world.broker.committed == {}
        world.join(whom=[0, 0])
    finally:
        world.teardown()
