"""Schedules, and analytics that come and go while a run lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.errors import BadMessage
from core.ids import Run, Seq
from core.messages import Analytic, AnalyticsChanged, FrameDetections, Schedule
from streams_proc.stage import Outcome, Poison
from tests.unit.analyse.scenes import (
    FPS,
    OBJECTS,
    OTHER,
    STREAM,
    Bench,
    Row,
    at,
    begin,
    end,
    events_of,
    frame,
    tracks_of,
)

NOON = int(datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp() * 1000)
"""A Monday's."""

CAR: Row = [("car", 0.8, at(0.1))]
MORNINGS = (Schedule(begin="00:00", end="12:00"),)
AFTERNOONS = (Schedule(begin="12:00", end="18:00"),)
CROWD = Analytic("people_count", {"people_count__lte": 0, "probe_count": 1})


def scheduled(analytic: Analytic, schedules: tuple[Schedule, ...]) -> Analytic:
    return msgspec.structs.replace(analytic, schedules=schedules)


def around_noon(seq: int, row: Row = CAR) -> FrameDetections:
    """A frame each tenth of a second; number 20 is noon's."""
    return msgspec.structs.replace(frame(seq, row), ts_ms=NOON + round((seq - 20) * 1000 / FPS))


def change(seq: int, *analytics: Analytic, run: int = 1, **more: Any) -> AnalyticsChanged:
    return AnalyticsChanged(more.pop("stream", STREAM), Run(run), Seq(seq), analytics)


def phases(outcomes: Sequence[Outcome]) -> list[tuple[int, str, int | None, int | None]]:
    return [(e.analytic_index, e.phase, e.begin_seq, e.end_seq) for e in events_of(outcomes)]


def test_an_analytic_pauses_and_what_is_open_ends_at_the_last_frame_it_saw() -> None:
    outcomes = Bench().give([begin(scheduled(OBJECTS, MORNINGS)), *(around_noon(i) for i in range(30)), end()])
    assert phases(outcomes) == [(0, "begin", 0, None), (0, "end", 0, 19)]
    (_, ended) = events_of(outcomes)
    assert ended.end_ms == NOON - 100
    assert [len(f.tracks) for f in tracks_of(outcomes)] == [1] * 20 + [0] * 10, "it sees nothing"
    told_with = [len(outcome) for outcome in outcomes if isinstance(outcome, Sequence)]
    assert told_with[21] == 2, "told with noon's frame"


def test_it_resumes_and_knows_nothing_of_before() -> None:
    outcomes = Bench().give([begin(scheduled(OBJECTS, AFTERNOONS)), *(around_noon(i) for i in range(30)), end()])
    assert phases(outcomes) == [(0, "begin", 20, None), (0, "end", 20, 29)]
    shown = [[b.track_id for b in f.tracks] for f in tracks_of(outcomes)]
    assert shown == [[]] * 20 + [[1]] * 10


def test_events_after_a_pause_are_others() -> None:
    hours = (Schedule(begin="00:00", end="12:00"), Schedule(begin="12:01", end="13:00"))
    before = [around_noon(i) for i in range(21)]
    after = [msgspec.structs.replace(around_noon(i), ts_ms=NOON + 60_000 + i * 100) for i in range(21, 31)]
    outcomes = Bench().give([begin(scheduled(OBJECTS, hours), CROWD), *before, *after, end()])
    visits = [e for e in events_of(outcomes) if e.analytic_index == 0]
    assert [(e.phase, e.begin_seq) for e in visits] == [("begin", 0), ("end", 0), ("begin", 21), ("end", 21)]
    assert len({e.event_id for e in visits}) == 2


def test_who_shares_tracks_is_not_disturbed_by_anothers_pause() -> None:
    messages = [begin(scheduled(OBJECTS, AFTERNOONS), OBJECTS), *(around_noon(i) for i in range(30)), end()]
    outcomes = Bench().give(messages)
    assert phases(outcomes) == [
        (1, "begin", 0, None),
        (0, "begin", 20, None),
        (0, "end", 20, 29),
        (1, "end", 0, 29),
    ]
    assert {b.track_id for f in tracks_of(outcomes) for b in f.tracks} == {1}, "one track for both"


def test_a_crowd_is_counted_anew_after_a_pause() -> None:
    outcomes = Bench().give([begin(scheduled(CROWD, AFTERNOONS)), *(around_noon(i) for i in range(30)), end()])
    assert phases(outcomes) == [(0, "begin", 20, None), (0, "end", 20, 29)]


def test_time_that_jumps_over_the_hours_still_ends_what_is_open() -> None:
    late = msgspec.structs.replace(around_noon(20), ts_ms=NOON + 27 * 3_600_000)
    outcomes = Bench().give([begin(scheduled(OBJECTS, MORNINGS)), *(around_noon(i) for i in range(20)), late, end()])
    assert [p[1] for p in phases(outcomes)] == ["begin", "end"]


def test_hours_that_were_over_meanwhile_end_what_is_open_though_no_frame_came() -> None:
    evening = [around_noon(i) for i in range(10)]
    morning = [msgspec.structs.replace(around_noon(i), ts_ms=NOON + 21 * 3_600_000 + i * 100) for i in range(10, 15)]
    office = (Schedule(begin="09:00", end="17:00"),)
    asked = (scheduled(CROWD, office), scheduled(OBJECTS, office))
    outcomes = Bench().give([begin(*asked), *evening, *morning, end()])
    assert phases(outcomes) == [
        (0, "begin", 0, None),
        (1, "begin", 0, None),
        (0, "end", 0, 9),
        (1, "end", 0, 9),
        (0, "begin", 10, None),
        (1, "begin", 10, None),
        (0, "end", 10, 14),
        (1, "end", 10, 14),
    ]
    assert [b.track_id for f in tracks_of(outcomes) for b in f.tracks] == [1] * 10 + [2] * 5, (
        "another car, for all we know"
    )
    open_all_day = Bench().give([begin(CROWD), *evening, *morning, end()])
    assert [p[1] for p in phases(open_all_day)] == ["begin", "end"]


def test_a_schedule_that_cannot_be_leaves_its_analytic_out() -> None:
    wrong = scheduled(OBJECTS, (Schedule(time_zone="Atlantis/Capital"),))
    outcomes = Bench().give([begin(wrong, OBJECTS), around_noon(0), end()])
    assert {index for index, *_ in phases(outcomes)} == {1}


# analytics that come and go


def test_an_analytic_that_is_attached_begins_with_the_next_frame() -> None:
    messages = [begin(OBJECTS), *(frame(i, CAR) for i in range(5)), change(5, OBJECTS, CROWD)]
    bench = Bench()
    assert phases(bench.give(messages)) == [(0, "begin", 0, None)]
    outcomes = bench.give([*(frame(i, CAR) for i in range(5, 8)), end()])
    assert phases(outcomes) == [(1, "begin", 5, None), (0, "end", 0, 7), (1, "end", 5, 7)]
    assert {b.track_id for f in tracks_of(outcomes) for b in f.tracks} == {1}, "the first has not noticed"


def test_an_analytic_that_is_detached_ends_its_events_at_once() -> None:
    bench = Bench()
    bench.give([begin(OBJECTS, CROWD), *(frame(i, CAR) for i in range(5))])
    changed = bench.give([change(5, OBJECTS)])
    assert phases(changed) == [(1, "end", 0, 4)]
    assert phases(bench.give([frame(5, CAR), end()])) == [(0, "end", 0, 5)]


def test_a_changed_configuration_begins_anew_under_ids_of_its_own() -> None:
    bench = Bench()
    first = events_of(bench.give([begin(OBJECTS), *(frame(i, CAR) for i in range(5))]))
    other = Analytic("object_detection", {"labels": ["car"]})
    second = events_of(bench.give([change(5, other), frame(5, CAR), end()]))
    assert [(e.phase, e.begin_seq) for e in [*first, *second]] == [("begin", 0), ("end", 0), ("begin", 5), ("end", 5)]
    ids = {e.event_id for e in [*first, *second]}
    assert len(ids) == 2
    again = events_of(Bench().give([begin(OBJECTS), frame(0, CAR), change(1, CROWD), frame(1, CAR), change(2, OBJECTS),
                                    frame(2, CAR), change(3, CROWD), frame(3, CAR), end()]))  # fmt: skip
    begun = [e.event_id for e in again if e.phase == "begin"]
    assert len(set(begun)) == len(begun) == 4, "a position's numbers go on through all that stand there"


def test_who_moves_to_another_position_begins_anew_there() -> None:
    bench = Bench()
    bench.give([begin(CROWD, OBJECTS), *(frame(i, CAR) for i in range(3))])
    outcomes = bench.give([change(3, OBJECTS), frame(3, CAR), end()])
    assert phases(outcomes) == [(0, "end", 0, 2), (1, "end", 0, 2), (0, "begin", 3, None), (0, "end", 3, 3)]


def test_nothing_at_all_may_be_asked_for() -> None:
    bench = Bench()
    bench.give([begin(OBJECTS), frame(0, CAR)])
    outcomes = bench.give([change(1), frame(1, CAR), change(2, OBJECTS), frame(2, CAR), end()])
    assert [p[1] for p in phases(outcomes)] == ["end", "begin", "end"]
    assert [len(f.tracks) for f in tracks_of(outcomes)] == [0, 1]


def test_an_analytic_that_is_unknown_is_left_out_of_a_change() -> None:
    bench = Bench()
    bench.give([begin(OBJECTS), frame(0, CAR)])
    outcomes = bench.give([change(1, OBJECTS, Analytic("fire"), CROWD), frame(1, CAR), end()])
    assert [p[:2] for p in phases(outcomes)] == [(2, "begin"), (0, "end"), (2, "end")]


def test_the_same_analytics_said_again_change_nothing() -> None:
    rows = [frame(i, CAR) for i in range(6)]
    whole = Bench().give([begin(OBJECTS), *rows, end()])
    told = Bench().give([begin(OBJECTS), *rows[:3], change(3, OBJECTS), *rows[3:], end()])
    assert events_of(told) == events_of(whole)
    assert tracks_of(told) == tracks_of(whole)


def test_a_replayed_change_is_passed_over() -> None:
    rows = [frame(i, CAR) for i in range(8)]
    messages = [begin(OBJECTS), *rows[:3], change(3, CROWD), *rows[3:5], change(5, OBJECTS), *rows[5:7]]
    bench = Bench()
    first = bench.give(messages)
    again = bench.give(messages[1:])
    assert events_of(again) == []
    assert events_of([*first, *again, *bench.give([rows[7], end()])]) == events_of(
        Bench().give([*messages, rows[7], end()])
    )


def test_a_change_of_no_run_is_poison_and_one_of_a_run_that_is_over_nothing() -> None:
    bench = Bench()
    lost, _, later = bench.give([change(0, OBJECTS), begin(OBJECTS), change(0, OBJECTS, run=2)])
    assert isinstance(lost, Poison)
    assert isinstance(later, Poison)
    assert isinstance(later.error, BadMessage)
    over = bench.give([begin(OBJECTS, run=2), change(0, CROWD, run=1), end(run=2), change(0, CROWD, run=2)])
    assert [over[1], over[3]] == [[], []]


def test_a_change_is_one_streams() -> None:
    bench = Bench()
    bench.give([begin(OBJECTS), begin(OBJECTS, stream=OTHER), frame(0, CAR), frame(0, CAR, stream=OTHER)])
    assert {e.stream_id for e in events_of(bench.give([change(1, CROWD)]))} == {STREAM}


@pytest.mark.parametrize("cut", range(1, 32))
def test_pauses_and_changes_are_the_same_over_a_restart(cut: int) -> None:
    cars = Analytic("object_detection", {"labels": ["car"], "roi": {"width": 900, "height": 1080}})
    messages = [
        begin(scheduled(OBJECTS, AFTERNOONS), Analytic("zone_dwell", {"min_dwell_s": 0.3})),
        *(around_noon(i) for i in range(15)),
        change(15, scheduled(OBJECTS, AFTERNOONS), cars, CROWD),
        *(around_noon(i) for i in range(15, 30)),
        end(),
    ]
    whole = Bench().give(messages)
    bench = Bench()
    first = bench.give(messages[:cut])
    snapshot = bench.handler.snapshot()
    assert snapshot is not None
    bench.handler = bench.new_handler()
    bench.handler.restore(snapshot)
    assert [*first, *bench.give(messages[cut:])] == whole


def test_a_chunk_with_a_change_that_fails_for_now_changes_nothing() -> None:
    messages = [begin(CROWD), frame(0, CAR), change(1, OBJECTS), frame(1, CAR), end()]
    expected = Bench().give(messages)
    bench = Bench()
    bench.frames.failing.append(asyncio.CancelledError())  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        bench.give(messages)
    assert bench.give(messages) == expected


# state of before there were slots
