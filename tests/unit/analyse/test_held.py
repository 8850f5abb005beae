"""Frames that the motion gate held back: they end nothing, and the time in which they came goes by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import msgspec
import pytest

from core.messages import Analytic, Event, FrameDetections
from streams_proc.run_state import RunState
from tests.unit.analyse.scenes import FPS, Bench, Message, Row, at, begin, end, events_of, frame

CAR: Row = [("car", 0.8, at(0.4))]
PERSON: Row = [("person", 0.8, at(0.4))]
EVERY = 100
"""Of the frames of a still scene one is looked at."""


class Camera:
    """Frames at ten a second, of which some are held back."""

    def __init__(self) -> None:
        self._seq = count()
        self._number = -1

    def looks(self, rows: Sequence[Row], *, every: int = 1) -> Iterator[FrameDetections]:
        """Frames that are looked at, one of so many."""
        for row in rows:
            before = self._number
            self._number += every
            seq = next(self._seq)
            one = frame(seq, row, media_s=self._number / FPS)
            one = msgspec.structs.replace(one, index=self._number)
            if every > 1 and before >= 0:
                held_s = (every - 1) / FPS
                one = msgspec.structs.replace(one, held=every - 1, held_s=held_s)
            yield one


def ungated(frames: Sequence[FrameDetections]) -> list[FrameDetections]:
    """The same frames, as if what is between them were lost."""
    return [msgspec.structs.replace(one, held=0, held_s=0.0) for one in frames]


def events(frames: Sequence[FrameDetections], *analytics: Analytic) -> list[Event]:
    messages: list[Message] = [begin(*analytics, lane="live"), *frames, end()]
    return events_of(Bench().give(messages))


def parked() -> list[FrameDetections]:
    """A car comes, stands for fifty seconds, and leaves."""
    camera = Camera()
    return [*camera.looks([CAR] * 25), *camera.looks([CAR] * 5, every=EVERY), *camera.looks([CAR] * 3 + [[]] * 30)]


def test_a_visit_goes_on_through_a_still_scene_and_its_times_are_those_of_the_video() -> None:
    told = events(parked())
    assert [event.phase for event in told if event.phase != "update"] == ["begin", "end"]
    assert {event.event_id for event in told} == {told[0].event_id}
    ended = told[-1]
    assert (ended.begin_s, ended.end_s) == (0.0, 52.7)
    assert ended.end_ms is not None
    assert ended.end_ms - ended.begin_ms == 52_700


def test_had_these_frames_been_lost_it_would_be_two_visits() -> None:
    assert len({event.event_id for event in events(ungated(parked()))}) == 2


def test_the_end_is_told_once_the_thing_is_missed_for_as_long_as_ever_not_counting_what_was_held_back() -> None:
    camera = Camera()
    frames = [*camera.looks([CAR] * 25), *camera.looks([[]] * 40, every=EVERY)]
    (ended,) = [event for event in events(frames) if event.phase == "end"]
    assert ended.end_s == 2.4
    assert 25 + 14 <= ended.seq <= 25 + 16, "a second and a half of looks"


def test_what_was_held_back_before_a_frame_that_cannot_be_analysed_counts_too() -> None:
    frames = parked()
    frames[26] = msgspec.structs.replace(frames[26], error="no jpeg", objects=())
    frames[28] = msgspec.structs.replace(frames[28], error="no jpeg", objects=())
    assert len({event.event_id for event in events(frames)}) == 1


def test_a_number_of_people_holds_through_a_still_scene() -> None:
    asked = Analytic("people_count", {"people_count_threshold": 0, "probe_count": 2, "event_delay": 30.0})
    camera = Camera()
    frames = [*camera.looks([PERSON] * 25), *camera.looks([PERSON] * 4, every=EVERY)]
    told = events(frames, asked)
    began = told[0]
    assert (began.phase, began.begin_s, began.seq) == ("begin", 0.0, 27)
    assert frames[27].media_s == pytest.approx(32.4)


@pytest.mark.parametrize("held_s", [0.1, 5.0, 1e10])
def test_more_than_can_have_been_held_back_is_no_reason_to_stand_still(held_s: float) -> None:
    state = RunState.of(begin(lane="live"), Bench().settings)
    clocks = []
    for one in Camera().looks([CAR] * 30):
        state.frame(msgspec.structs.replace(one, held=1, held_s=held_s))
        assert state.last is not None
        clocks.append((state.last.clock_s, state.last.looked_s))
    for before, after in pairwise(clocks):
        assert after[0] > before[0]
        assert after[1] > before[1]


def test_a_state_that_was_restored_knows_what_was_held_back() -> None:
    frames = parked()
    frames[26] = msgspec.structs.replace(frames[26], error="no jpeg", objects=())
    whole = Bench()
    expected = whole.give([begin(lane="live"), *frames, end()])
    parted = Bench()
    got = []
    for message in [begin(lane="live"), *frames, end()]:
        snapshot = parted.handler.snapshot()
        if snapshot is not None:
            parted.handler = parted.new_handler()
            parted.handler.restore(snapshot)
        got += parted.give([message])
    assert got == expected
