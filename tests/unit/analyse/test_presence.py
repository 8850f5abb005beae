"""`zone_dwell` and `intrusion`: who is in a zone, since when, till when."""

from __future__ import annotations

from typing import Any

from core.messages import Analytic, Event
from streams_proc.analytics import start
from streams_proc.analytics.presence import Presence
from tests.unit.analyse.seen import SUBJECT, gone, kept, moment, scene, sighting, standing, walked

DOCK = {"name": "dock", "points": [[0.4, 0.4], [0.8, 0.4], [0.8, 0.8], [0.4, 0.8]]}
YARD = {"name": "yard", "points": [[0, 0.6], [1, 0.6], [1, 1], [0, 1]]}


def made(name: str, *zones: dict[str, Any], **parameters: Any) -> Presence:
    given = {**parameters, **({"zones": list(zones)} if zones else {})}
    analytic = start(SUBJECT, Analytic(name, given), 0.4)
    assert isinstance(analytic, Presence)
    return analytic


def dwell(*zones: dict[str, Any], **parameters: Any) -> Presence:
    return made("zone_dwell", *zones, **{"min_dwell_s": 0.5, **parameters})


def across(*xs: float, y: float = 0.5) -> list[tuple[float, float]]:
    return [(x, y) for x in xs]


def told(events: list[Event]) -> list[tuple[str, int, int]]:
    return [(e.phase, e.seq, e.begin_seq) for e in events]


def test_a_stay_is_told_once_it_has_lasted_and_ends_when_it_is_left() -> None:
    began, ended = walked(dwell(DOCK), across(0.1, 0.3, *[0.6] * 10, 0.79, 0.9, 0.95))
    assert (began.type, began.event_type, began.label, began.track_id) == ("zone_dwell", "zone_dwell", "car", 1)
    assert told([began, ended]) == [("begin", 7, 2), ("end", 13, 2)]
    assert began.data == {"zone": "dock", "dwell_s": 0.5, "time_in": 1200}
    assert ended.data == {"zone": "dock", "dwell_s": 1.0, "time_in": 1200, "time_out": 2200}
    assert (ended.end_seq, ended.end_ms, ended.begin_ms) == (12, 2200, 1200)
    assert ended.event_id == began.event_id


def test_who_passes_through_does_not_stay() -> None:
    assert walked(dwell(DOCK), across(0.3, 0.5, 0.6, 0.7, 0.9)) == []


def test_an_intrusion_is_told_at_once_and_ends() -> None:
    began, ended = walked(made("intrusion", DOCK), across(0.3, 0.5, 0.7, 0.9))
    assert told([began, ended]) == [("begin", 1, 1), ("end", 3, 1)]
    assert (began.type, began.event_type) == ("intrusion", "intrusion")
    assert began.data == {"zone": "dock", "inside_s": 0.0, "time_in": 1100}
    assert ended.data == {"zone": "dock", "inside_s": 0.1, "time_in": 1100, "time_out": 1200}


def test_an_intrusion_may_have_to_last() -> None:
    patient = made("intrusion", DOCK, min_inside_s=0.2)
    assert told(walked(patient, across(0.3, 0.5, 0.6, 0.7, 0.75))) == [("begin", 3, 1)]


def test_what_trembles_on_the_border_stays_once() -> None:
    events = walked(dwell(DOCK), across(*[0.405, 0.395, 0.41, 0.385] * 5, 0.3))
    assert told(events) == [("begin", 5, 0), ("end", 20, 0)]


def test_who_comes_back_stays_anew() -> None:
    events = walked(made("intrusion", DOCK), across(0.5, 0.2, 0.5, 0.2))
    assert told(events) == [("begin", 0, 0), ("end", 1, 0), ("begin", 2, 2), ("end", 3, 2)]
    assert len({e.event_id for e in events}) == 2


def test_the_ground_decides() -> None:
    analytic = made("intrusion", DOCK)
    behind = (0.5, 0.5, 0.7, 0.9)
    assert analytic.see(scene(0, sighting(behind))).events == [], "its middle is inside, its feet are not"


def test_a_stay_ends_where_its_track_was_last_seen() -> None:
    analytic = made("intrusion", DOCK)
    walked(analytic, across(0.5, 0.6))
    (ended,) = analytic.see(scene(30, left=[gone(1)])).events
    assert (ended.phase, ended.seq, ended.end_seq) == ("end", 30, 1)
    assert analytic.see(scene(31, left=[gone(1)])).events == []


def test_leaving_through_the_pictures_edge_ends_the_stay_with_the_track() -> None:
    analytic = made("intrusion", YARD)
    assert told(walked(analytic, [(0.5, 0.9), (0.5, 1.0), (0.5, 1.0)])) == [("begin", 0, 0)]
    assert told(list(analytic.see(scene(20, left=[gone(2)])).events)) == [("end", 20, 0)]


def test_zones_and_things_are_watched_apart() -> None:
    analytic = made("intrusion", DOCK, YARD)
    first = analytic.see(scene(0, sighting(standing(0.5, 0.7), 1), sighting(standing(0.1, 0.7), 2))).events
    assert [(e.track_id, e.data["zone"]) for e in first] == [(1, "dock"), (1, "yard"), (2, "yard")]
    second = analytic.see(scene(1, sighting(standing(0.9, 0.7), 1), sighting(standing(0.5, 0.7), 2))).events
    assert [(e.phase, e.track_id, e.data["zone"]) for e in second] == [("end", 1, "dock"), ("begin", 2, "dock")]


def test_only_labels_asked_for_and_as_they_are_now() -> None:
    analytic = made("intrusion", DOCK, labels=["person"])
    assert walked(analytic, across(0.5, 0.5), label="car") == []
    (began,) = walked(analytic, across(0.5), first=2, label="person")
    assert (began.label, began.begin_seq, began.seq) == ("person", 0, 2), "it was inside all the time"
    (update,) = walked(analytic, across(0.5), first=3, label="car")
    assert (update.phase, update.label, update.number) == ("update", "car", 1)
    (ended,) = walked(analytic, across(0.1), first=4, label="car")
    assert (ended.phase, ended.number) == ("end", 2)


def test_a_stay_from_before_the_track_was_believed_counts() -> None:
    analytic = dwell(DOCK)
    before = [(n, standing(0.5, 0.5)) for n in range(5)]
    (began,) = analytic.see(scene(5, sighting(standing(0.5, 0.5), earlier=before))).events
    assert told([began]) == [("begin", 5, 0)]


def test_a_stay_that_was_over_before_the_track_was_believed_is_told_whole() -> None:
    analytic = made("intrusion", DOCK)
    before = [(0, standing(0.3, 0.5)), (1, standing(0.5, 0.5)), (2, standing(0.7, 0.5)), (3, standing(0.9, 0.5))]
    events = list(analytic.see(scene(4, sighting(standing(0.95, 0.5), earlier=before))).events)
    assert [(e.phase, e.begin_seq, e.end_seq, e.seq) for e in events] == [("begin", 1, None, 4), ("end", 1, 2, 4)]


def test_the_whole_picture_is_the_zone_where_none_is_given() -> None:
    (began,) = walked(made("intrusion"), across(0.01))
    assert began.data["zone"] == "picture"


def test_a_pause_ends_every_stay_and_nothing_is_remembered() -> None:
    analytic = dwell(DOCK)
    walked(analytic, across(*[0.5] * 8))
    (ended,) = analytic.close([gone(7)], moment(7))
    assert (ended.phase, ended.end_seq) == ("end", 7)
    assert analytic.close([gone(7)], moment(7)) == []
    assert told(walked(analytic, across(*[0.5] * 6), first=100)) == [("begin", 105, 100)]


def test_the_end_has_the_best_picture() -> None:
    analytic = made("intrusion", DOCK)
    (began,) = analytic.see(scene(0, sighting(standing(0.5, 0.5)))).events
    assert began.image is None
    analytic.see(scene(1, sighting(standing(0.6, 0.5)), pictures={1: "a"}))
    (ended,) = walked(analytic, across(0.9), first=2)
    assert ended.image == "a"


def test_a_picture_that_could_not_be_taken_is_none() -> None:
    analytic = made("intrusion", DOCK)
    (began,) = analytic.see(scene(0, sighting(standing(0.5, 0.5)), pictures={1: "a"})).events
    assert began.image == "a"
    analytic.forget_pictures({"a"})
    assert walked(analytic, across(0.9), first=1)[0].image is None


def test_a_snapshot_anywhere_changes_nothing() -> None:
    way = across(0.1, *[0.6] * 10, 0.9, *[0.6] * 8)
    whole = walked(dwell(DOCK), way)
    analytic = dwell(DOCK)
    events: list[Event] = []
    for i, point in enumerate(way):
        events += walked(analytic, [point], first=i)
        analytic = kept(analytic)
    assert events == whole
    assert [e.phase for e in whole] == ["begin", "end", "begin"]
