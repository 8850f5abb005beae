"""A stage that stopped because of its dead letters stands still until it is told to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from core.errors import BadMessage, BrokerUnavailable, FatalError, TooManyDeadLetters
from core.metrics import exposition
from streams_proc.attempt import Backoff
from streams_proc.halt import Halt
from streams_proc.marks import Mark, halt_key
from tests.unit.streams_proc.stage_fakes import settle

STANDING = Mark("halted", 5, "101 records in a row")


class FakeMarks:
    def __init__(self, *looks: Mark | None) -> None:
        self.looks = list(looks)
        self.written: dict[str, Mark | None] = {}
        self.failures = 0

    def all(self) -> Mapping[str, Mark]:
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("no")
        found = self.looks.pop(0) if self.looks else None
        return {halt_key("other"): STANDING} | ({} if found is None else {halt_key("detect"): found})

    def write(self, marks: Mapping[str, Mark | None]) -> None:
        if self.failures:
            raise BrokerUnavailable("no")
        self.written |= marks


def halt(marks: FakeMarks, look_s: float = 0.0) -> Halt:
    backoff = Backoff(lambda _: asyncio.sleep(0), lambda: 1.0)
    return Halt(marks, "detect", backoff, clock=lambda: 1.5, look_s=look_s)


def passed(marks: FakeMarks, *, stopping: bool = False) -> None:
    async def scene() -> None:
        wish = asyncio.Event()
        if stopping:
            wish.set()
        await asyncio.wait_for(halt(marks).passed(wish), 20)

    asyncio.run(scene())


def test_a_stage_without_a_mark_begins_at_once_whatever_stands_for_others() -> None:
    passed(FakeMarks())
    assert 'sightline_stage_halted{stage="detect"} 0.0' in exposition().decode()


def test_it_waits_until_the_mark_is_gone_also_through_a_broker_that_is_away() -> None:
    marks = FakeMarks(STANDING, STANDING, STANDING, None)
    marks.failures = 3
    passed(marks)
    assert marks.looks == []


def test_a_stage_that_stands_still_can_be_stopped_and_is_seen_to_stand() -> None:
    marks = FakeMarks(*[STANDING] * 1000)

    async def scene() -> None:
        stopping = asyncio.Event()
        waiting = asyncio.create_task(halt(marks, look_s=3600.0).passed(stopping))
        await settle()
        assert 'sightline_stage_halted{stage="detect"} 1.0' in exposition().decode()
        assert not waiting.done()
        stopping.set()
        await asyncio.wait_for(waiting, 20)

    asyncio.run(scene())
    assert len(marks.looks) == 999


def test_a_process_that_is_being_stopped_does_not_look() -> None:
    marks = FakeMarks(STANDING)
    passed(marks, stopping=True)
    assert marks.looks == [STANDING]


def test_too_many_dead_letters_leave_the_mark_however_deep_the_error_lies() -> None:
    marks = FakeMarks()
    error = ExceptionGroup("", [ExceptionGroup("", [TooManyDeadLetters("101 in a row")])])
    asyncio.run(halt(marks).after(error))
    assert marks.written == {"halt/detect": Mark("halted", 1500, "101 in a row")}


@pytest.mark.parametrize("error", [FatalError("x"), BadMessage("x"), ValueError("x")])
def test_no_other_error_leaves_a_mark(error: Exception) -> None:
    marks = FakeMarks()
    asyncio.run(halt(marks).after(error))
    assert marks.written == {}


def test_a_mark_that_cannot_be_left_hides_no_error() -> None:
    marks = FakeMarks()
    marks.failures = 1
    asyncio.run(halt(marks).after(TooManyDeadLetters("x")))
    assert marks.written == {}
