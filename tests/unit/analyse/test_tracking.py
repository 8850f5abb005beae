"""Detections in, believed tracks out."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.ids import Seq, TrackId
from core.messages import Box
from streams_proc.tracking.boxes import Seen, best_of_overlapping, corners, overlaps
from streams_proc.tracking.follower import Followed, Follower
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import MOST_EARLIER, Moment, Track, alike, distance
from tests.unit.analyse.scenes import at

RULES = Rules(min_score=0.4, min_duration_s=0.2, min_boxes=3, max_gap_s=1.5)
ANY = Rules(min_score=0.4, min_duration_s=0.2, min_boxes=3, max_gap_s=1.5, any_label=True)
Row = Sequence[tuple[str, float, Box]]


def moment(i: int, fps: float = 10.0) -> Moment:
    return Moment(Seq(i), i / fps, round(i * 1000 / fps), i / fps)


def seen(row: Row) -> list[Seen]:
    return [Seen(label, score, box, i) for i, (label, score, box) in enumerate(row)]


class Watch:
    """A follower with its ids."""

    def __init__(self, rules: Rules = RULES, fps: float = 10.0) -> None:
        self.fps = fps
        self.follower = Follower("object", rules, fps, (1.0, 0.5625))
        self.ids = map(TrackId, itertools.count(1))
        self.now = -1
        self.held = 0

    def see(self, row: Row, skip: int = 0, held: int = 0) -> Followed:
        """Take a frame, after so many that were lost and so many that the motion gate held back."""
        self.now += 1 + skip + held
        self.held += held
        now = replace(moment(self.now, self.fps), held_s=self.held / self.fps)
        return self.follower.follow(seen(row), now, lambda: next(self.ids))

    def all(self, rows: Iterable[Row]) -> list[Followed]:
        return [self.see(row) for row in rows]


def ids(followed: Followed) -> list[int]:
    return [s.track_id for s in followed.sightings]


def test_overlaps_are_those_of_areas() -> None:
    matrix = overlaps(corners([(0, 0, 2, 2)]), corners([(1, 0, 3, 2), (5, 5, 6, 6), (0, 0, 0, 0)]))
    assert np.allclose(matrix, [[1 / 3, 0.0, 0.0]])
    assert overlaps(corners([(1, 1, 1, 1)]), corners([(1, 1, 1, 1)]))[0, 0] == 0.0
    assert overlaps(corners([]), corners([(0, 0, 1, 1)])).shape == (0, 1)


def test_the_best_of_each_heap_is_kept_and_ties_keep_the_first() -> None:
    heap = [Seen("car", 0.5, at(0.1), 0), Seen("truck", 0.9, at(0.11), 1), Seen("car", 0.5, at(0.6), 2)]
    assert [s.position for s in best_of_overlapping(heap, 0.3, 0.3)] == [1, 2]
    tied = [Seen("a", 0.5, at(0.1), 0), Seen("a", 0.5, at(0.1), 1)]
    assert [s.position for s in best_of_overlapping(tied, 0.3, 0.3)] == [0]
    assert len(best_of_overlapping(heap, 0.3, 1.0)) == 3, "another label may lie closer"


def test_a_thing_is_believed_after_its_boxes_and_its_time() -> None:
    watch = Watch()
    watch.see([])
    shown = [ids(f) for f in watch.all([[("car", 0.6, at(0.1))]] * 4)]
    assert shown == [[], [], [1], [1]]


def test_followers_beside_each_other_number_their_things_alone() -> None:
    """The library's counter is each tracker's own: numbers of a restored state meet no new ones of a neighbour."""
    rows = [[("car", 0.6, at(0.1 + 0.01 * i)), *([("bus", 0.7, at(0.6))] if i > 5 else [])] for i in range(12)]
    alone, left, right = Watch(), Watch(), Watch()
    expected = [ids(followed) for followed in alone.all(rows)]
    beside = [(ids(left.see(row)), ids(right.see(row))) for row in rows]
    assert [one for one, _ in beside] == [other for _, other in beside] == expected
    numbers = {frozenset(watch.follower._tracks) for watch in (alone, left, right)}
    assert len(numbers) == 1


def test_a_sighting_begins_with_the_first_box() -> None:
    watch = Watch()
    watch.see([])
    sighting = watch.all([[("car", 0.6 + i / 10, at(0.1))] for i in range(3)])[-1].sightings[0]
    assert sighting.begin.seq == 1
    assert sighting.best_score == pytest.approx(0.8)
    assert (sighting.label, sighting.kind, sighting.detection) == ("car", "object", 0)


def test_where_it_was_before_it_was_believed_is_told_once() -> None:
    followed = Watch().all([[]] + [[("car", 0.6, at(0.1 + 0.01 * i))] for i in range(6)])
    told = [[e.at.seq for s in f.sightings for e in s.earlier] for f in followed]
    shown = [f.sightings != () for f in followed]
    first = shown.index(True)
    assert told[first] == list(range(1, first))
    assert first > 1, "it is not believed at once"
    assert all(not later for later in told[first + 1 :])
    assert followed[first].sightings[0].earlier[0].box == at(0.1)


def test_what_was_doubted_for_long_is_remembered_in_bounds() -> None:
    watch = Watch()
    watch.all([[]] + [[("car", 0.31, at(0.1))] for _ in range(MOST_EARLIER + 50)])
    told = watch.see([("car", 0.9, at(0.1))]).sightings[0].earlier
    assert len(told) == MOST_EARLIER - 1
    assert told[-1].at.seq == watch.now - 1


def test_quick_frames_must_still_last_their_time() -> None:
    watch = Watch(fps=60.0)
    watch.see([])
    first = next(i for i, f in enumerate(watch.all([[("car", 0.6, at(0.1))]] * 30)) if f.sightings)
    assert first == 12


def test_what_is_there_at_the_first_frame_is_believed_at_once() -> None:
    watch = Watch()
    assert ids(watch.see([("car", 0.6, at(0.1)), ("car", 0.35, at(0.6))])) == [1]


def test_an_unsure_thing_that_stands_still_is_never_believed() -> None:
    watch = Watch()
    assert not any(f.sightings for f in watch.all([[("tv", 0.35, at(0.4))]] * 40))


def test_an_unsure_thing_that_moves_is_believed() -> None:
    watch = Watch()
    shown = watch.all([[("car", 0.35, at(0.1 + 0.03 * i))] for i in range(10)])
    assert [bool(f.sightings) for f in shown].index(True) == 4


def test_a_flicker_is_forgotten() -> None:
    watch = Watch()
    rows: list[Row] = [[], [("car", 0.9, at(0.1))], [("car", 0.9, at(0.1))], *[[]] * 6, [("car", 0.9, at(0.1))], []]
    assert not any(f.sightings or f.departures for f in watch.all(rows))


def test_a_missed_thing_keeps_its_id_and_a_gone_one_departs_where_it_was_last_seen() -> None:
    watch = Watch()
    here: Row = [("car", 0.9, at(0.4))]
    watch.all([here] * 5)
    assert all(not f.sightings and not f.departures for f in watch.all([[]] * 10))
    assert ids(watch.see(here)) == [1]
    gone = [f.departures for f in watch.all([[]] * 20)]
    departed = [(i, d) for i, ds in enumerate(gone) for d in ds]
    assert [(i, d.track_id, d.last.seq) for i, d in departed] == [(15, 1, 15)]
    assert [ids(f) for f in watch.all([here] * 3)][-1] == [2]


def test_a_gap_in_time_is_a_gap_whatever_the_number_of_frames() -> None:
    watch = Watch()
    watch.all([[("car", 0.9, at(0.4))]] * 5)
    after = watch.see([("car", 0.9, at(0.4))], skip=100)
    assert [d.track_id for d in after.departures] == [1]
    assert after.sightings == ()


def test_what_was_held_back_ends_no_track_and_is_no_movement() -> None:
    here: Row = [("car", 0.9, at(0.3))]
    watch = Watch()
    watch.all([[("car", 0.9, at(0.1 + 0.02 * i))] for i in range(11)])
    for _ in range(5):
        after = watch.see(here, held=500)
        assert (ids(after), after.departures) == ([1], ())
    lost = Watch()
    lost.all([[("car", 0.9, at(0.1 + 0.02 * i))] for i in range(11)])
    assert [d.track_id for d in lost.see(here, skip=500).departures] == [1], "had they been lost, it would be over"


def test_a_thing_that_is_missed_at_every_look_departs_after_as_many_looks_as_without_a_gate() -> None:
    watch, looked = Watch(fps=8.0), Watch(fps=8.0)
    for one in (watch, looked):
        one.all([[("car", 0.9, at(0.4))]] * 5)
    gone = [watch.see([], held=99).departures for _ in range(20)]
    whole = [looked.see([]).departures for _ in range(20)]
    assert [[d.track_id for d in ds] for ds in gone] == [[d.track_id for d in ds] for ds in whole]
    (departed,) = [d for ds in gone for d in ds]
    assert (departed.last.seq, departed.last.media_s) == (4, 0.5)


def test_a_doubtful_thing_is_doubted_by_the_looks_at_it() -> None:
    watch = Watch()
    watch.see([])
    shown = [ids(watch.see([("car", 0.6, at(0.1))], held=99)) for _ in range(4)]
    assert shown == [[], [], [1], [1]]


def test_one_miss_never_ends_a_visit_where_frames_are_rare() -> None:
    watch = Watch(fps=0.5)
    watch.all([[("car", 0.9, at(0.4))]] * 3)
    watch.see([])
    assert ids(watch.see([("car", 0.9, at(0.4))])) == [1]


def test_a_label_changes_only_when_it_is_clearly_beaten() -> None:
    watch = Watch()
    rows: list[Row] = [[("car" if i % 2 else "truck", 0.6, at(0.1 + 0.02 * i))] for i in range(20)]
    assert {s.label for f in watch.all(rows) for s in f.sightings} == {"truck"}
    later = watch.all([[("car", 0.6, at(0.5 + 0.002 * i))] for i in range(20)])
    assert [s.track_id for s in later[-1].sightings] == [1]
    assert later[-1].sightings[0].label == "car"


def test_things_of_two_labels_on_one_place_stay_apart() -> None:
    watch = Watch()
    rows: list[Row] = [[("person", 0.8, (0.4, 0.2, 0.6, 0.8)), ("bicycle", 0.7, (0.38, 0.4, 0.62, 0.9))]] * 10
    last = watch.all(rows)[-1]
    assert [(s.track_id, s.label) for s in last.sightings] == [(1, "person"), (2, "bicycle")]


def test_any_label_makes_one_thing_of_overlapping_boxes() -> None:
    watch = Watch(ANY)
    rows: list[Row] = [
        [("cell phone", 0.6, at(0.1 + 0.02 * i)), ("car", 0.5, at(0.14 + 0.02 * i)), ("bus", 0.9, at(0.7, 0.7))]
        for i in range(10)
    ]
    last = watch.all(rows)[-1]
    assert {(s.label, s.detection) for s in last.sightings} == {("any", 0), ("any", 2)}


def test_two_that_cross_keep_their_ids() -> None:
    watch = Watch()
    rows: list[Row] = [
        [("car", 0.9, at(0.02 * i, 0.30, 0.15)), ("car", 0.8, at(0.8 - 0.02 * i, 0.42, 0.15))] for i in range(40)
    ]
    last = watch.all(rows)[-1]
    assert [s.track_id for s in last.sightings] == [1, 2]
    assert last.sightings[0].box[0] > last.sightings[1].box[0]


def test_a_lone_thing_may_jump_and_two_may_not() -> None:
    lone = Watch()
    lone.all([[("face", 0.9, at(0.1))]] * 5)
    assert ids(lone.see([("face", 0.9, at(0.35))])) == [1]
    far = Watch()
    far.all([[("face", 0.9, at(0.1))]] * 5)
    assert ids(far.see([("face", 0.9, at(0.7))])) == []
    grown = Watch()
    grown.all([[("face", 0.9, at(0.1))]] * 5)
    assert ids(grown.see([("face", 0.9, at(0.35, size=0.4))])) == []
    two = Watch()
    two.all([[("face", 0.9, at(0.1)), ("face", 0.9, at(0.7))]] * 5)
    assert ids(two.see([("face", 0.9, at(0.35))])) == []


def test_weak_boxes_go_on_with_a_track_but_begin_none() -> None:
    watch = Watch()
    watch.all([[("car", 0.9, at(0.4))]] * 3)
    weak: Row = [("car", 0.2, at(0.4)), ("car", 0.2, at(0.1)), ("car", 0.1, at(0.8))]
    followed = watch.all([weak] * 10)
    assert {tuple(ids(f)) for f in followed} == {(1,)}


def test_closing_departs_from_every_believed_track() -> None:
    watch = Watch()
    watch.see([("car", 0.9, at(0.1)), ("car", 0.35, at(0.6))])
    assert [(d.track_id, d.last.seq) for d in watch.follower.close()] == [(1, 0)]
    assert watch.follower.close() == ()


def test_a_follower_goes_on_as_before_after_pickling() -> None:
    rows: list[Row] = [[("car", 0.9, at(0.02 * i)), ("bus", 0.7, at(0.5, 0.6 - 0.01 * i))] for i in range(30)]
    whole = Watch()
    expected = whole.all(rows)
    parted = Watch()
    got = []
    for row in rows:
        parted.follower = pickle.loads(pickle.dumps(parted.follower))
        got.append(parted.see(row))
    assert got == expected


def test_distance_and_likeness_are_in_the_things_own_size() -> None:
    assert distance(at(0.1), at(0.3)) == pytest.approx(1.0)
    assert distance(at(0.1), at(0.1, 0.35)) == pytest.approx(0.25)
    assert distance((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5)) == 0.0
    assert alike(at(0.1), at(0.5, size=0.25))
    assert not alike(at(0.1), at(0.5, size=0.31))


def test_rules_are_read_from_parameters() -> None:
    given = {"min_duration_s": 1, "min_boxes": 2, "max_gap_s": 3, "labels": "any"}
    assert Rules.of(given, 0.5) == Rules(0.5, 1.0, 2, 3.0, True)
    assert Rules.of({**given, "min_score": 0.2, "labels": ["car"]}, 0.5) == Rules(0.2, 1.0, 2, 3.0, False)


def test_a_track_remembers_how_far_it_has_been() -> None:
    track = Track(0, moment(0), moment(0))
    for x in (0.1, 0.2, 0.1):
        track.see("car", 0.5, at(x), moment(1))
    assert track.moved == pytest.approx(0.5)
