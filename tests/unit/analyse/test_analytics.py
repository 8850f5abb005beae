"""What each analytic says of the frames it is given."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.analytics import BUILT_IN, REGISTRY
from core.ids import Run, Seq, StreamId, TrackId
from core.messages import Analytic, Event
from streams_proc.analytics import IMPLEMENTATIONS, start
from streams_proc.analytics.analytic import Found, Picture, Scene, Subject
from streams_proc.analytics.people_count import MOST_ESTIMATIONS, Condition, PeopleCount
from streams_proc.analytics.visits import Visits
from streams_proc.tracking.follower import Followed
from streams_proc.tracking.track import Departure, Moment, Sighting
from tests.unit.analyse.scenes import STREAM, at

SUBJECT = Subject(STREAM, Run(1), 2)


def moment(seq: int, fps: float = 10.0) -> Moment:
    return Moment(Seq(seq), seq / fps, 1000 + round(seq * 1000 / fps), seq / fps)


def sighting(track: int = 1, label: str = "person", x: float = 0.4, score: float = 0.8, begin: int = 0) -> Sighting:
    return Sighting(TrackId(track), "object", label, score, at(x), 0, score, moment(begin))


def scene(
    seq: int, *sightings: Sighting, gone: tuple[Departure, ...] = (), pictures: dict[int, Picture] | None = None
) -> Scene:
    shown = {TrackId(track): picture for track, picture in (pictures or {}).items()}
    return Scene(moment(seq), Followed(sightings, gone), shown, 1920, 1080)


def visits(**parameters: Any) -> Visits:
    made = start(SUBJECT, Analytic("object_detection", parameters), 0.4)
    assert isinstance(made, Visits)
    return made


def picture(key: str, quality: float, track: int = 1) -> dict[int, Picture]:
    return {track: Picture(TrackId(track), key, quality)}


def test_declarations_and_implementations_agree() -> None:
    assert set(IMPLEMENTATIONS) == {declared.id for declared in BUILT_IN}
    for name in IMPLEMENTATIONS:
        made = start(SUBJECT, Analytic(name), 0.4)
        assert (made.need.kind == "face") == REGISTRY[name].faces


def test_a_visit_begins_with_its_first_box_and_ends_with_its_last() -> None:
    analytic = visits()
    (began,) = analytic.see(scene(3, sighting(begin=1))).events
    assert (began.phase, began.number, began.seq, began.begin_seq, began.begin_s) == ("begin", 0, 3, 1, 0.1)
    assert (began.type, began.event_type, began.label, began.track_id) == ("object_detection", "object", "person", 1)
    assert analytic.see(scene(4, sighting())).events == []
    (ended,) = analytic.see(scene(30, gone=(Departure(TrackId(1), moment(9)),))).events
    assert (ended.phase, ended.number, ended.event_id) == ("end", 1, began.event_id)
    assert (ended.end_seq, ended.end_s, ended.end_ms, ended.seq) == (9, 0.9, 1900, 30)
    assert (ended.begin_seq, ended.analytic_index) == (1, 2)


def test_the_score_is_the_highest_so_far_and_only_news_is_told() -> None:
    analytic = visits()
    analytic.see(scene(0, sighting(score=0.5)))
    assert analytic.see(scene(1, sighting(score=0.9))).events == []
    (ended,) = analytic.see(scene(2, gone=(Departure(TrackId(1), moment(1)),))).events
    assert ended.score == 0.9


def test_a_much_better_picture_is_told_and_a_little_better_one_kept() -> None:
    analytic = visits()
    (began,) = analytic.see(scene(0, sighting(x=0.1), pictures=picture("a", 0.2))).events
    assert (began.image, began.box) == ("a", at(0.1))
    assert analytic.see(scene(1, sighting(x=0.2), pictures=picture("b", 0.25))).events == []
    (told,) = analytic.see(scene(2, sighting(x=0.3), pictures=picture("c", 0.31))).events
    assert (told.phase, told.number, told.image, told.box) == ("update", 1, "c", at(0.3))
    assert analytic.see(scene(3, sighting(x=0.4), pictures=picture("worse", 0.1))).events == []
    assert analytic.see(scene(4, sighting(x=0.5), pictures=picture("d", 0.4))).events == []
    (ended,) = analytic.see(scene(5, gone=(Departure(TrackId(1), moment(4)),))).events
    assert (ended.image, ended.box) == ("d", at(0.5)), "the best picture and where it was taken"


def test_another_label_is_told() -> None:
    analytic = visits()
    analytic.see(scene(0, sighting(label="truck")))
    (told,) = analytic.see(scene(1, sighting(label="car"))).events
    assert (told.phase, told.label) == ("update", "car")


def test_only_the_labels_asked_for_are_visits() -> None:
    analytic = visits(labels=["car"])
    assert analytic.see(scene(0, sighting(label="person"))).events == []
    assert analytic.see(scene(1, gone=(Departure(TrackId(1), moment(0)),))).events == []
    assert len(analytic.see(scene(2, sighting(2, "car"))).events) == 1


def test_the_run_ends_what_is_open() -> None:
    analytic = visits()
    analytic.see(scene(0, sighting(1), sighting(2)))
    events = analytic.close((Departure(TrackId(1), moment(0)), Departure(TrackId(2), moment(0))), moment(5))
    assert [(e.phase, e.track_id, e.end_seq, e.seq) for e in events] == [("end", 1, 0, 5), ("end", 2, 0, 5)]
    assert len({e.event_id for e in events}) == 2


def test_a_picture_that_could_not_be_taken_is_none() -> None:
    analytic = visits()
    analytic.see(scene(0, sighting(), pictures=picture("a", 0.5)))
    analytic.forget_pictures({"other"})
    analytic.forget_pictures({"a"})
    (told,) = analytic.see(scene(1, sighting(), pictures=picture("b", 0.1))).events
    assert told.image == "b"


def people(targets: tuple[str, ...] = (), **parameters: Any) -> PeopleCount:
    made = start(SUBJECT, Analytic("people_count", parameters, targets), 0.4)
    assert isinstance(made, PeopleCount)
    return made


def crowd(analytic: PeopleCount, counts: list[int], first: int = 0) -> list[Found]:
    """What it says of frames with so many people."""
    return [
        analytic.see(scene(first + i, *(sighting(n + 1, x=0.1 + 0.05 * n) for n in range(count))))
        for i, count in enumerate(counts)
    ]


def phases(found: list[Found]) -> list[tuple[int, Event]]:
    return [(i, event) for i, f in enumerate(found) for event in f.events]


def test_more_people_than_the_threshold_are_an_event_after_the_probes() -> None:
    analytic = people(people_count_threshold=1)
    told = phases(crowd(analytic, [0, 1, 2, 2, 2, 2, 1, 1, 2, 1, 1, 1, 0]))
    assert [(i, e.phase) for i, e in told] == [(4, "begin"), (11, "end")]
    began, ended = told[0][1], told[1][1]
    assert (began.event_type, began.type, began.label, began.begin_seq) == ("crowd", "people_count", "person", 2)
    assert began.data == {"people_count": 2}
    assert (ended.end_seq, ended.event_id) == (8, began.event_id)


def test_interrupted_probes_begin_nothing() -> None:
    assert phases(crowd(people(), [1, 1, 0, 1, 1, 0])) == []


def test_more_people_are_told_at_once() -> None:
    told = phases(crowd(people(probe_count=1), [1, 3, 2, 4]))
    assert [(i, e.phase, e.data["people_count"], e.number) for i, e in told] == [
        (0, "begin", 1, 0),
        (1, "update", 3, 1),
        (3, "update", 4, 2),
    ]


def test_the_event_waits_for_its_delay() -> None:
    told = phases(crowd(people(probe_count=1, event_delay=0.5), [1] * 10))
    assert [(i, e.begin_seq) for i, e in told] == [(5, 0)]


@pytest.mark.parametrize(
    ("rate", "counted"),
    [({"period": 2, "unit": "frame"}, [0, 2, 4, 6]), ({"period": 0.3, "unit": "second"}, [0, 3, 6])],
)
def test_people_are_counted_at_their_rate(rate: dict[str, Any], counted: list[int]) -> None:
    analytic = people(probe_count=1, rate=rate)
    told = phases(crowd(analytic, [1, 2, 3, 4, 5, 6, 7, 8]))
    assert [e.seq for _, e in told] == counted


@pytest.mark.parametrize(
    ("parameters", "true", "false"),
    [
        ({}, [1, 5], [0]),
        ({"people_count_threshold": 2}, [3], [0, 2]),
        ({"people_count__lte": 2}, [0, 2], [3]),
        ({"people_count__gte": 2}, [2, 9], [1]),
        ({"people_count__gte": 2, "people_count__lte": 4}, [2, 3, 4], [1, 5]),
        ({"people_count__gte": 4, "people_count__lte": 2}, [2, 4, 0, 9], [3]),
    ],
)
def test_both_forms_of_the_condition(parameters: dict[str, int], true: list[int], false: list[int]) -> None:
    condition = Condition.of(parameters)
    assert all(condition.holds(n) for n in true)
    assert not any(condition.holds(n) for n in false)


def test_nobody_can_be_an_event() -> None:
    told = phases(crowd(people(people_count__lte=0, probe_count=2), [0, 0, 1, 1]))
    assert [(i, e.phase) for i, e in told] == [(1, "begin"), (3, "end")]


def test_other_labels_are_no_people() -> None:
    assert people(probe_count=1).see(scene(0, sighting(label="car"))).events == ()


def test_the_overview_has_a_picture_and_coordinates() -> None:
    analytic = people(("overview",), probe_count=1)
    found = crowd(analytic, [1, 1, 2])
    (_, began), (_, more) = phases(found)
    assert began.image and more.image and began.image != more.image
    assert found[0].overview and str(found[0].overview) in began.image
    assert found[1].overview is None
    assert more.data["overview"] == {"people_coordinates": [[384.0, 432.0], [480.0, 432.0]], "time_offset": 0.2}
    (ended,) = analytic.close((), moment(2))
    assert (ended.phase, ended.image, ended.data["people_count"]) == ("end", more.image, 2)


def test_an_overview_that_could_not_be_taken_is_none() -> None:
    analytic = people(("overview",), probe_count=1)
    (_, began) = phases(crowd(analytic, [1]))[0]
    analytic.forget_pictures({str(began.image)})
    assert analytic.close((), moment(0))[0].image is None
    analytic.forget_pictures({"x"})


def test_coordinates_are_kept_of_every_estimation(monkeypatch: pytest.MonkeyPatch) -> None:
    analytic = people(("coordinates",), probe_count=2)
    crowd(analytic, [1, 1, 2, 1])
    (ended,) = analytic.close((), moment(3))
    estimations = ended.data["frames_estimations"]
    assert [(e["time_offset"], e["people_count"]) for e in estimations] == [(0.1, 1), (0.2, 2), (0.3, 1)]
    assert MOST_ESTIMATIONS > 1000
    monkeypatch.setattr("streams_proc.analytics.people_count.MOST_ESTIMATIONS", 2)
    bounded = people(("coordinates",), probe_count=1)
    crowd(bounded, [1] * 5)
    assert len(bounded.close((), moment(4))[0].data["frames_estimations"]) == 2


def test_a_run_without_a_crowd_ends_without_an_event() -> None:
    analytic = people()
    crowd(analytic, [0, 1])
    assert analytic.close((), moment(1)) == ()


def test_a_pause_forgets_what_was_rising() -> None:
    analytic = people(probe_count=3)
    assert phases(crowd(analytic, [1, 1])) == []
    assert analytic.close((), moment(1)) == ()
    told = phases(crowd(analytic, [1, 1, 1], first=100))
    assert [(i, e.begin_seq) for i, e in told] == [(2, 100)]


def test_events_of_analytics_and_streams_have_ids_of_their_own() -> None:
    def first(subject: Subject) -> Event:
        analytic = start(subject, Analytic("object_detection"), 0.4)
        return analytic.see(scene(0, sighting())).events[0]

    others = [SUBJECT, Subject(STREAM, Run(2), 2), Subject(STREAM, Run(1), 1), Subject(StreamId(STREAM), Run(1), 2)]
    assert len({first(s).event_id for s in others}) == 3
    assert not first(SUBJECT).ephemeral
    assert first(Subject(STREAM, Run(1), 2, ephemeral=True)).ephemeral
    assert msgspec.json.decode(msgspec.json.encode(first(SUBJECT)), type=Event) == first(SUBJECT)
