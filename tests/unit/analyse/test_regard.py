"""What one analytic is shown of what all share."""

from __future__ import annotations

from typing import Any

import pytest

from core.analytics import validate
from core.messages import Analytic, Box
from streams_proc.analytics.regard import Regard
from streams_proc.analytics.region import Region, regions
from streams_proc.tracking.follower import Followed
from streams_proc.tracking.track import Departure, Sighting
from tests.unit.analyse.scenes import Bench, Row, at, events_of, tracks_of, whole_run
from tests.unit.analyse.seen import gone, moment, sighting

LEFT = Region(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
INSIDE, OUTSIDE = at(0.1), at(0.7)


def shown(regard: Regard, seq: int, *sightings: Sighting, left: tuple[Departure, ...] = ()) -> Followed:
    return regard.of(Followed(sightings, left), moment(seq))


def half() -> Regard:
    return Regard((LEFT,), gap_s=1.0)


def seen(box: Box, **more: Any) -> Sighting:
    return sighting(box, **more)


def test_without_regions_everything_is_shown_as_it_is() -> None:
    followed = Followed((seen(INSIDE), seen(OUTSIDE, track=2)), (gone(1, 3),))
    assert Regard((), 1.0).of(followed, moment(5)) is followed


def test_only_what_has_its_middle_inside_is_shown() -> None:
    edge = at(0.4)
    found = shown(half(), 5, seen(INSIDE), seen(OUTSIDE, track=2), seen(edge, track=3))
    assert [(s.track_id, s.begin.seq) for s in found.sightings] == [(1, 5), (3, 5)], "its middle lies on the border"


def test_a_track_begins_where_it_comes_in_and_departs_when_it_has_long_been_out() -> None:
    regard = half()
    assert shown(regard, 0, seen(OUTSIDE)) == Followed((), ())
    assert shown(regard, 1, seen(INSIDE)).sightings[0].begin.seq == 1
    assert shown(regard, 2, seen(INSIDE)).sightings[0].begin.seq == 1
    assert shown(regard, 12, seen(OUTSIDE)) == Followed((), ()), "no longer than a thing may be missed"
    assert shown(regard, 13, seen(OUTSIDE)).departures == (gone(2),)
    assert shown(regard, 14, seen(OUTSIDE)) == Followed((), ())
    assert shown(regard, 15, seen(INSIDE)).sightings[0].begin.seq == 15, "and comes anew"


def test_a_short_way_out_is_no_departure() -> None:
    regard = half()
    shown(regard, 0, seen(INSIDE))
    shown(regard, 3, seen(OUTSIDE))
    found = shown(regard, 6, seen(INSIDE))
    assert (found.sightings[0].begin.seq, found.departures) == (0, ())


def test_a_track_that_is_given_up_departs_where_it_was_last_inside() -> None:
    regard = half()
    shown(regard, 0, seen(INSIDE), seen(OUTSIDE, track=2))
    shown(regard, 3, seen(OUTSIDE))
    assert shown(regard, 9, left=(gone(3), gone(0, 2))).departures == (gone(0),)


def test_places_from_before_it_was_believed_count_where_they_lie_inside() -> None:
    earlier = [(1, OUTSIDE), (2, INSIDE), (3, OUTSIDE)]
    (found,) = shown(half(), 4, seen(INSIDE, earlier=earlier)).sightings
    assert (found.begin.seq, [e.at.seq for e in found.earlier]) == (2, [2])


def test_after_a_pause_nothing_from_before_it_is_known() -> None:
    regard = Regard((), 1.0)
    shown(regard, 0, seen(INSIDE))
    regard.begin_anew(moment(10))
    (found,) = shown(regard, 10, seen(INSIDE)).sightings
    assert found.begin.seq == 10
    late = sighting(OUTSIDE, 2, earlier=[(8, OUTSIDE), (11, OUTSIDE)])
    assert [(s.begin.seq, len(s.earlier)) for s in shown(regard, 12, late).sightings] == [(10, 1)]
    assert shown(regard, 13, left=(gone(12), gone(3, 9))).departures == (gone(10),), "of what it has been shown"


WHERE: list[dict[str, Any]] = [
    {"roi": {"x": 0, "y": 0, "width": 960, "height": 1080}},
    {"roi": {"x": 0, "y": 0, "width": 50, "height": 100, "mode": "percent"}},
    {"droi": "POLYGON ((0 0, 960 0, 960 1080, 0 1080, 0 0))"},
    {"roi": None, "droi": {"width": 960, "height": 1080}},
    {"roi": {"width": 960, "height": 1080}, "droi": {"width": 90, "height": 100, "mode": "percent"}},
]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", ["object_detection", "line_crossing", "zone_dwell", "intrusion", "human_tracking"])
def test_every_analytic_has_regions(name: str, where: dict[str, Any]) -> None:
    assert len(regions(validate(Analytic(name, where)).parameters, 1920, 1080)) == sum(
        v is not None for v in where.values()
    )


@pytest.mark.parametrize("where", WHERE)
def test_only_people_of_the_region_count(where: dict[str, Any]) -> None:
    rows: list[Row] = [[("person", 0.8, INSIDE), ("person", 0.8, OUTSIDE)]] * 4
    outcomes = Bench().give(whole_run(rows, Analytic("people_count", {"probe_count": 1, **where})))
    assert {e.data["people_count"] for e in events_of(outcomes)} == {1}
    assert {len(frame.tracks) for frame in tracks_of(outcomes)} == {1}, "nobody wants the others' places"


@pytest.mark.parametrize("where", WHERE)
def test_a_visit_is_of_the_region(where: dict[str, Any]) -> None:
    walk: list[Row] = [[("car", 0.8, at(0.02 * i))] for i in range(38)]
    outcomes = Bench().give(whole_run(walk, Analytic("object_detection", where)))
    began, ended = [e for e in events_of(outcomes) if e.phase != "update"]
    assert (began.begin_seq, ended.end_seq) == (0, 20), "the middle of its box is beyond the middle from frame 21 on"
    assert ended.seq == 36, "given up after 1.5 s out of the region"


def test_analytics_with_regions_share_the_tracks_of_those_without() -> None:
    rows: list[Row] = [[("car", 0.8, INSIDE), ("car", 0.8, OUTSIDE)]] * 5
    outcomes = Bench().give(
        whole_run(
            rows, Analytic("object_detection"), Analytic("object_detection", {"roi": {"width": 960, "height": 1080}})
        )
    )
    assert {tuple(b.track_id for b in frame.tracks) for frame in tracks_of(outcomes)} == {(1, 2)}
    found = {(e.analytic_index, e.track_id) for e in events_of(outcomes)}
    by_region = {track for index, track in found if index == 1}
    assert {track for index, track in found if index == 0} == {1, 2}
    assert len(by_region) == 1
