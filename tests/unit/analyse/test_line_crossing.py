"""`line_crossing`: which ways cross which lines, how often, and when."""

from __future__ import annotations

from typing import Any

import pytest

from core.messages import Analytic, Event
from streams_proc.analytics import start
from streams_proc.analytics.line_crossing import LineCrossing
from tests.unit.analyse.seen import SUBJECT, gone, kept, moment, scene, sighting, standing, walked

MIDDLE = {"name": "middle", "points": [[0, 0.5], [1, 0.5]]}


def crossing(*lines: dict[str, Any], **parameters: Any) -> LineCrossing:
    given = {**parameters, **({"lines": list(lines)} if lines else {})}
    made = start(SUBJECT, Analytic("line_crossing", given), 0.4)
    assert isinstance(made, LineCrossing)
    return made


def down(*ys: float, x: float = 0.5) -> list[tuple[float, float]]:
    return [(x, y) for y in ys]


def begins(events: list[Event]) -> list[Event]:
    return [event for event in events if event.phase == "begin"]


def directions(events: list[Event]) -> list[str]:
    return [str(event.data["direction"]) for event in begins(events)]


def test_a_crossing_is_one_event_that_begins_and_ends_at_once() -> None:
    began, ended = walked(crossing(), down(0.3, 0.4, 0.55, 0.6))
    assert (began.phase, began.number, ended.phase, ended.number) == ("begin", 0, "end", 1)
    assert began.event_id == ended.event_id
    assert (began.type, began.event_type, began.label, began.track_id) == ("line_crossing", "line_crossing", "car", 1)
    assert (began.begin_seq, began.begin_ms, began.seq) == (2, 1200, 2)
    assert (ended.end_seq, ended.end_ms, ended.end_s) == (began.begin_seq, began.begin_ms, began.begin_s)
    assert began.box == standing(0.5, 0.55)
    assert began.data == ended.data == {
        "line": "middle",
        "direction": "down",
        "label": "car",
        "counts": {"down": 1, "up": 0},
        "label_counts": {"down": 1, "up": 0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("points", "sides", "way", "direction"),
    [
        ([[0, 0.5], [1, 0.5]], "up_down", down(0.3, 0.7), "down"),
        ([[0, 0.5], [1, 0.5]], "up_down", down(0.7, 0.3), "up"),
        ([[1, 0.5], [0, 0.5]], "up_down", down(0.3, 0.7), "down"),
        ([[0, 0.2], [1, 0.8]], "up_down", down(0.3, 0.7), "down"),
        ([[0.5, 0], [0.5, 1]], "left_right", [(0.3, 0.5), (0.7, 0.5)], "right"),
        ([[0.5, 1], [0.5, 0]], "left_right", [(0.3, 0.5), (0.7, 0.5)], "right"),
        ([[0.5, 1], [0.5, 0]], "left_right", [(0.7, 0.5), (0.3, 0.5)], "left"),
        ([[0, 0.5], [1, 0.5]], "in_out", down(0.3, 0.7), "in"),
        ([[1, 0.5], [0, 0.5]], "in_out", down(0.3, 0.7), "out"),
        ([[0.5, 1], [0.5, 0]], "in_out", [(0.3, 0.5), (0.7, 0.5)], "in"),
    ],
)
def test_directions_are_called_as_asked(points: Any, sides: str, way: Any, direction: str) -> None:
    analytic = crossing({"name": "a", "points": points, "sides": sides})
    assert directions(walked(analytic, way)) == [direction]


def test_the_ground_decides_and_not_the_middle_of_the_box() -> None:
    tall = [(0.4, 0.05, 0.6, y) for y in (0.42, 0.46, 0.54, 0.58)]
    analytic = crossing()
    told = [e for i, box in enumerate(tall) for e in analytic.see(scene(i, sighting(box))).events]
    assert [(e.phase, e.seq) for e in told] == [("begin", 2), ("end", 2)]


def test_what_trembles_on_the_line_crosses_it_once() -> None:
    way = down(0.45, 0.48, 0.505, 0.495, 0.51, 0.49, 0.505, 0.498, 0.512, 0.515, 0.53, 0.6)
    told = walked(crossing(), way)
    assert directions(told) == ["down"]
    assert begins(told)[0].begin_seq == 8, "when it was beyond the line for good"
    assert begins(told)[0].seq == 10, "and sure once it was clearly beyond"


def test_what_trembles_on_the_line_and_goes_back_has_not_crossed() -> None:
    assert walked(crossing(), down(0.45, 0.505, 0.495, 0.51, 0.49, 0.45, 0.4)) == []


def test_who_crosses_again_is_counted_again() -> None:
    told = walked(crossing(), down(0.3, 0.7, 0.3, 0.7))
    assert directions(told) == ["down", "up", "down"]
    assert [e.data["counts"] for e in begins(told)] == [
        {"down": 1, "up": 0},
        {"down": 1, "up": 1},
        {"down": 2, "up": 1},
    ]
    assert len({e.event_id for e in told}) == 3


def test_only_the_line_itself_is_crossed_and_not_what_continues_it() -> None:
    short = {"name": "door", "points": [[0.4, 0.5], [0.6, 0.5]]}
    assert walked(crossing(short), down(0.3, 0.7, x=0.2)) == []
    assert directions(walked(crossing(short), down(0.3, 0.7, x=0.5))) == ["down"]


def test_a_bent_line_is_one_line() -> None:
    bay = {"name": "bay", "points": [[0.2, 0.2], [0.5, 0.6], [0.8, 0.2]]}
    assert directions(walked(crossing(bay), down(0.3, 0.7))) == ["down"]
    assert directions(walked(crossing(bay), [(0.1, 0.4), (0.9, 0.4)])) == [], "through a tip of it, at once"
    assert directions(walked(crossing(bay), [(0.1, 0.4), (0.5, 0.4), (0.9, 0.4)])) == ["up", "down"]


def test_each_line_is_watched_and_counted_alone() -> None:
    analytic = crossing(MIDDLE, {"name": "late", "points": [[0, 0.8], [1, 0.8]]})
    told = begins(walked(analytic, down(0.3, 0.6, 0.9)))
    assert [(e.data["line"], e.seq) for e in told] == [("middle", 1), ("late", 2)]
    both = begins(walked(analytic, down(0.9, 0.3), first=10))
    assert [(e.data["line"], e.data["counts"]) for e in both] == [
        ("middle", {"down": 1, "up": 1}),
        ("late", {"down": 1, "up": 1}),
    ]


def test_only_the_directions_asked_for_are_events() -> None:
    analytic = crossing({**MIDDLE, "count": ["up"]})
    told = begins(walked(analytic, down(0.3, 0.7, 0.3)))
    assert [e.data["counts"] for e in told] == [{"up": 1}]


def test_labels_are_counted_apart_and_only_those_asked_for() -> None:
    analytic = crossing(labels=["car", "bus"])
    walked(analytic, down(0.3, 0.7), track=1, label="car")
    walked(analytic, down(0.3, 0.7), track=2, label="person")
    (told,) = begins(walked(analytic, down(0.3, 0.7), track=3, label="bus"))
    assert told.data["label_counts"] == {"down": 1, "up": 0}
    assert told.data["counts"] == {"down": 2, "up": 0}


def test_the_label_is_that_of_the_crossing_however_it_was_called_before() -> None:
    analytic = crossing(labels=["car"])
    walked(analytic, down(0.3, 0.4), label="truck")
    assert directions(walked(analytic, down(0.6), first=2, label="car")) == ["down"]
    assert walked(analytic, down(0.3), first=3, label="truck") == [], "and a truck is not counted"


def test_with_any_label_boxes_are_one_kind_of_thing() -> None:
    analytic = crossing(labels="any")
    assert analytic.need.rules.any_label
    assert directions(walked(analytic, down(0.3, 0.7), label="any")) == ["down"]


def test_who_leaves_the_picture_just_beyond_the_line_has_crossed() -> None:
    low = {"name": "low", "points": [[0, 0.99], [1, 0.99]]}
    analytic = crossing(low)
    assert walked(analytic, down(0.9, 0.97, 1.0)) == []
    told = list(analytic.see(scene(20, left=[gone(2)])).events)
    assert directions(told) == ["down"]
    assert (told[0].begin_seq, told[0].seq) == (2, 20)


def test_a_box_cut_by_the_edge_crosses_by_what_is_seen_of_it() -> None:
    grows = [(0.4, 0.0, 0.6, y) for y in (0.05, 0.2, 0.35, 0.5, 0.65)] + [(0.4, y, 0.6, 1.0) for y in (0.7, 0.9)]
    analytic = crossing()
    told = [e for i, box in enumerate(grows) for e in analytic.see(scene(i, sighting(box))).events]
    assert [(e.phase, e.data["direction"], e.begin_seq) for e in told] == [("begin", "down", 3), ("end", "down", 3)]


def test_who_is_lost_before_the_line_has_not_crossed() -> None:
    analytic = crossing()
    walked(analytic, down(0.3, 0.499))
    assert analytic.see(scene(20, left=[gone(1)])).events == []
    assert walked(analytic, down(0.6), first=21, track=2) == [], "nor has whoever appears behind it"


def test_a_gap_in_what_is_seen_does_not_hide_a_crossing() -> None:
    analytic = crossing()
    walked(analytic, down(0.3))
    assert directions(walked(analytic, down(0.8), first=12)) == ["down"]


def test_a_crossing_from_before_the_track_was_believed_counts_at_its_time() -> None:
    analytic = crossing()
    before = [(3, standing(0.5, 0.4)), (4, standing(0.5, 0.51)), (5, standing(0.5, 0.6))]
    told = analytic.see(scene(6, sighting(standing(0.5, 0.7), earlier=before))).events
    assert directions(list(told)) == ["down"]
    assert (told[0].begin_seq, told[0].seq, told[0].box) == (4, 6, standing(0.5, 0.51))


def test_the_end_of_the_run_settles_what_is_beyond() -> None:
    analytic = crossing()
    walked(analytic, down(0.45, 0.51))
    assert directions(list(analytic.close([gone(1)], moment(1)))) == ["down"]
    assert analytic.close([gone(1)], moment(1)) == []


def test_counts_go_on_after_a_pause_and_ways_do_not() -> None:
    analytic = crossing()
    walked(analytic, down(0.3, 0.7))
    assert analytic.close([gone(1)], moment(1)) == []
    assert walked(analytic, down(0.3), first=50) == [], "the way during the pause was not seen"
    (told,) = begins(walked(analytic, down(0.7), first=51))
    assert told.data["counts"] == {"down": 2, "up": 0}


def test_a_snapshot_in_the_middle_of_a_crossing_changes_nothing() -> None:
    way = down(0.45, 0.505, 0.495, 0.51, 0.53, 0.4)
    whole = walked(crossing(), way)
    analytic = crossing()
    told: list[Event] = []
    for i, point in enumerate(way):
        told += walked(analytic, [point], first=i)
        analytic = kept(analytic)
    assert told == whole
    assert directions(whole) == ["down", "up"]


def test_the_picture_is_the_best_of_the_track() -> None:
    analytic = crossing()
    analytic.see(scene(0, sighting(standing(0.5, 0.3)), pictures={1: "a"}))
    analytic.forget_pictures({"other"})
    (began, ended) = analytic.see(scene(1, sighting(standing(0.5, 0.7)))).events
    assert (began.image, ended.image) == ("a", "a")
    analytic.forget_pictures({"a"})
    assert analytic.see(scene(2, sighting(standing(0.5, 0.3)))).events[0].image is None
    assert not crossing(embeddings=False).need.views


def test_hysteresis_is_measured_on_the_picture_and_not_in_its_halves() -> None:
    wide = start(
        type(SUBJECT)(SUBJECT.stream_id, SUBJECT.run, 0, width=1000, height=250),
        Analytic("line_crossing", {"hysteresis": 0.02}),
        0.4,
    )
    assert isinstance(wide, LineCrossing)
    assert walked(wide, down(0.3, 0.57)) == [], "0.07 of the height is 0.0175 of the width"
    assert directions(walked(wide, down(0.59), first=2)) == ["down"]
