from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from core.errors import BadMessage, FatalError, GapError, ModelUnavailable
from streams_proc.publish import Tally
from streams_proc.stage import Handler, Outcome, Output, Poison, Record, StatelessStage, TopicPartition
from streams_proc.stateless import StatelessLine
from tests.unit.streams_proc.stage_fakes import (
    Echo,
    FakeGroup,
    FakeOrigin,
    FakePublisher,
    means,
    no_pressure,
    record,
    settle,
)

IN = TopicPartition("in", 0)


class Bench:
    def __init__(
        self,
        handler: Handler,
        *,
        batch: int = 4,
        in_flight: int = 2,
        origin: FakeOrigin | None = None,
        confirm: bool = True,
        cut_messages: int = 1,
        cut_s: float = 3600.0,
        most: int = 100,
    ) -> None:
        self.group = FakeGroup()
        self.publisher = FakePublisher(confirm)
        self.origin = origin or FakeOrigin()
        stage = StatelessStage("stage", ("in", "later"), handler, batch, 0.0, in_flight)
        self.line = StatelessLine(
            stage,
            means(self.group, self.publisher, self.origin, cut_messages=cut_messages, cut_s=cut_s, most=most),
            no_pressure(),
        )

    def run(self, scene: Callable[[Bench], Awaitable[None]]) -> None:
        async def both() -> None:
            working = asyncio.create_task(self.line.run())
            try:
                await scene(self)
            except BaseException:
                working.cancel()
                raise
            self.line.stop()
            await working

        try:
            asyncio.run(both())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group

    def offer(self, *offsets: int, generation: int = 1, partition: int = 0) -> None:
        for offset in offsets:
            self.line.offer(generation, record(offset, partition))


def test_records_are_answered_published_and_committed() -> None:
    bench = Bench(Echo())

    async def scene(b: Bench) -> None:
        b.offer(0, 1, 2)
        b.offer(0, partition=1)
        await settle()

    bench.run(scene)
    assert sorted(v or b"" for v in bench.publisher.values("out")) == [b"in/0/0", b"in/0/1", b"in/0/2", b"in/1/0"]
    assert bench.group.position == {IN: 3, TopicPartition("in", 1): 1}


class OutOfOrder:
    """The first call answers only after the second has been made."""

    def __init__(self) -> None:
        self.second = asyncio.Event()
        self.calls = 0

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        self.calls += 1
        if self.calls == 1:
            await self.second.wait()
        else:
            self.second.set()
        return [(Output("out", b"k", r.value),) for r in records]


def test_two_calls_are_in_flight_and_finish_in_order() -> None:
    bench = Bench(OutOfOrder(), batch=2)

    async def scene(b: Bench) -> None:
        b.offer(0, 1, 2, 3)
        await settle()

    bench.run(scene)
    assert bench.publisher.values("out") == [f"in/0/{i}".encode() for i in range(4)]
    assert bench.group.position == {IN: 4}


def test_nothing_is_committed_before_its_outputs_are_confirmed() -> None:
    bench = Bench(Echo(), confirm=False)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        assert len(b.publisher.sent) == 2
        assert b.group.committed == []
        b.publisher.release()
        await settle()
        assert b.group.position == {IN: 2}

    bench.run(scene)


def test_an_output_that_is_given_up_ends_the_line_uncommitted() -> None:
    bench = Bench(Echo(), confirm=False)

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()
        b.publisher.release("timed out")
        await settle()

    with pytest.raises(Exception, match="timed out"):
        bench.run(scene)
    assert bench.group.committed == []


def test_reading_begins_at_what_is_committed_and_passes_over_what_was_read() -> None:
    echo = Echo()
    bench = Bench(echo, origin=FakeOrigin(committed=2))

    async def scene(b: Bench) -> None:
        b.offer(0, 1, 2, 3, 3)
        await settle()

    bench.run(scene)
    assert [offset for call in echo.calls for offset in call] == [2, 3]


@pytest.mark.parametrize(("committed", "low", "first"), [(None, 5, 5), (3, 5, 5), (7, 5, 7)])
def test_reading_never_begins_before_what_is_kept(committed: int | None, low: int, first: int) -> None:
    bench = Bench(Echo(), origin=FakeOrigin(committed, low))

    async def scene(b: Bench) -> None:
        b.offer(first)
        await settle()

    bench.run(scene)
    assert bench.group.position == {IN: first + 1}


@pytest.mark.parametrize("offsets", [(1,), (0, 2), (0, 1, 5)])
def test_a_gap_ends_the_line(offsets: tuple[int, ...]) -> None:
    bench = Bench(Echo())

    async def scene(b: Bench) -> None:
        b.offer(*offsets)
        await settle()

    with pytest.raises(GapError):
        bench.run(scene)


def test_records_of_another_generation_are_passed_over_and_each_generation_begins_anew() -> None:
    echo = Echo()
    bench = Bench(echo)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        b.origin.committed = 2
        b.group.generation = 2
        b.offer(9, generation=1)
        b.offer(2, 3, generation=2)
        await settle()

    bench.run(scene)
    assert [offset for call in echo.calls for offset in call] == [0, 1, 2, 3]
    assert bench.origin.asked == 2
    assert bench.group.position == {IN: 4}


def test_a_record_that_an_ended_generation_left_over_disturbs_nobody() -> None:
    echo = Echo()
    bench = Bench(echo)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        b.group.generation = 2
        b.offer(9, generation=1)
        await settle()
        b.origin.committed = 2
        b.offer(2, generation=2)
        await settle()

    bench.run(scene)
    assert echo.calls == [[0, 1], [2]]


def test_a_cut_of_a_generation_that_ends_meanwhile_commits_nothing() -> None:
    bench = Bench(Echo(), confirm=False)

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()
        b.group.generation = 2
        b.publisher.release()
        await settle()

    bench.run(scene)
    assert bench.group.committed == []


def test_what_fails_for_now_is_asked_again_and_never_lost() -> None:
    echo = Echo()
    echo.failures = [ModelUnavailable("shedding")] * 3
    bench = Bench(echo, origin=FakeOrigin())
    bench.origin.failures = 2

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()

    bench.run(scene)
    assert echo.calls == [[0, 1]] * 4
    assert bench.group.position == {IN: 2}


def test_a_call_whose_generation_has_ended_is_given_up() -> None:
    echo = Echo()
    echo.failures = [ModelUnavailable("shedding")] * 1_000_000
    bench = Bench(echo)

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()
        b.group.generation = 2
        await settle()
        left = len(echo.failures)
        await settle()
        assert len(echo.failures) == left, "it is asked no more"
        echo.failures = []

    bench.run(scene)
    assert bench.group.committed == []
    assert bench.publisher.sent == []


class FirstFails:
    """Every call that holds the first record fails for now; all others succeed."""

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        if any(r.offset == 0 for r in records):
            raise ModelUnavailable("shedding")
        return [(Output("out", b"k", r.value),) for r in records]


def test_nothing_is_published_behind_a_call_that_was_given_up() -> None:
    bench = Bench(FirstFails(), batch=2)

    async def scene(b: Bench) -> None:
        b.offer(0, 1, 2, 3)
        await settle()
        b.group.generation = 2
        await settle()

    bench.run(scene)
    assert bench.publisher.sent == []
    assert bench.group.committed == []


class Picky:
    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        bad = Poison(BadMessage("no"), (Output("out", b"k", b"instead"),))
        return [bad if record.offset % 2 else () for record in records]


def test_poison_goes_to_the_dead_letters_and_is_committed() -> None:
    bench = Bench(Picky())

    async def scene(b: Bench) -> None:
        b.offer(0, 1, 2)
        await settle()

    bench.run(scene)
    assert [output.topic for output in bench.publisher.sent] == ["dead", "out"]
    assert bench.group.position == {IN: 3}


class Wrong:
    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        if self.error is not None:
            raise self.error
        return []


@pytest.mark.parametrize("error", [ValueError("bug"), FatalError("stop"), BadMessage("raised, not answered"), None])
def test_anything_else_ends_the_line_uncommitted(error: Exception | None) -> None:
    bench = Bench(Wrong(error))

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()

    with pytest.raises(type(error) if error else FatalError):
        bench.run(scene)
    assert bench.group.committed == []


class CancelledInside:
    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        raise asyncio.CancelledError


def test_a_call_that_somebody_cancelled_ends_the_line_instead_of_halting_it() -> None:
    bench = Bench(CancelledInside())

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()

    with pytest.raises(FatalError, match="cancelled"):
        bench.run(scene)
    assert bench.group.committed == []


def test_calls_of_their_own_are_for_ordered_stages() -> None:
    with pytest.raises(ValueError, match="any order"):
        StatelessStage("stage", ("in",), Echo(), 1, ordered=False, apart=True)


def test_what_is_done_is_committed_by_time_too() -> None:
    bench = Bench(Echo(), cut_messages=1000, cut_s=0.001)

    async def scene(b: Bench) -> None:
        b.offer(0)
        while not b.group.committed:
            await settle()

    bench.run(scene)
    assert bench.group.committed == [{IN: 1}]


def test_stopping_finishes_what_is_begun_commits_it_and_begins_no_more() -> None:
    gate = asyncio.Event()

    class Slow(Echo):
        async def handle(self, records: Sequence[Record]) -> list[list[Output]]:
            await gate.wait()
            return await super().handle(records)

    bench = Bench(Slow(), batch=1, in_flight=2, cut_messages=1000)

    async def scene(b: Bench) -> None:
        b.offer(0, 1, 2, 3)
        await settle()
        b.line.stop()
        await settle()
        gate.set()

    bench.run(scene)
    assert bench.group.position == {IN: 2}


def test_what_has_been_begun_but_not_answered_is_not_committed() -> None:
    gate = asyncio.Event()

    class SecondWaits(Echo):
        async def handle(self, records: Sequence[Record]) -> list[list[Output]]:
            if records[0].offset:
                await gate.wait()
            return await super().handle(records)

    bench = Bench(SecondWaits(), batch=1)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        assert b.group.position == {IN: 1}
        gate.set()

    bench.run(scene)
    assert bench.group.position == {IN: 2}


def test_stopping_waits_for_a_cut_under_way() -> None:
    bench = Bench(Echo(), confirm=False, cut_messages=1000, cut_s=0.001)

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()
        await asyncio.sleep(0.01)  # the cut by time has begun, and waits for the output
        b.line.stop()
        await settle()
        b.publisher.release()

    bench.run(scene)
    assert bench.group.position == {IN: 1}


class Halting(FakePublisher):
    """Takes the second output of a record only when told to."""

    def __init__(self) -> None:
        super().__init__(confirm=False)
        self.go_on = asyncio.Event()

    async def send(self, output: Output, tally: Tally, partition: int = -1) -> None:
        if output.value == b"second":
            await self.go_on.wait()
        await super().send(output, tally, partition)


class Twice:
    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        return [(Output("out", b"k", b"first"), Output("out", b"k", b"second")) for _ in records]


def test_a_cut_between_two_outputs_of_a_record_waits_for_both() -> None:
    bench = Bench(Twice(), cut_s=0.001)
    publisher = bench.publisher = Halting()
    bench.line._means = replace(bench.line._means, publisher=publisher)

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()
        await asyncio.sleep(0.01)  # cuts by time begin, with the first output sent and the second waiting
        publisher.release()
        await settle()
        publisher.go_on.set()
        await settle()
        await asyncio.sleep(0.01)
        assert publisher.values("out") == [b"first", b"second"]
        assert b.group.committed == [], "the second output is not confirmed yet"
        publisher.release()
        await settle()

    bench.run(scene)
    assert bench.group.position == {IN: 1}


def test_a_cut_knows_the_outputs_of_all_that_it_commits() -> None:
    gate = asyncio.Event()

    class Slow(Echo):
        async def handle(self, records: Sequence[Record]) -> list[list[Output]]:
            await gate.wait()
            return await super().handle(records)

    bench = Bench(Slow(), confirm=False, cut_messages=1000)

    async def scene(b: Bench) -> None:
        b.offer(0)
        await settle()
        gate.set()
        cut = asyncio.create_task(b.line._cut())  # it begins while the answer is on its way to the publisher
        await settle()
        assert len(b.publisher.sent) == 1
        assert b.group.committed == [], "the output is not confirmed"
        b.publisher.release()
        await cut

    bench.run(scene)
    assert bench.group.position == {IN: 1}
