"""`human_tracking`: visits of people, and what its targets ask for."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.messages import Analytic
from streams_proc.analyse import without
from streams_proc.analytics import start
from streams_proc.analytics.human_tracking import HumanTracking
from tests.unit.analyse.seen import SUBJECT, gone, moment, scene, sighting, standing

HERE = standing(0.5, 0.5, 0.2)
RECT = {"x": 400.0, "y": 300.0, "width": 200.0, "height": 200.0}


def tracking(*targets: str, **parameters: object) -> HumanTracking:
    made = start(SUBJECT, Analytic("human_tracking", dict(parameters), targets), 0.4)
    assert isinstance(made, HumanTracking)
    return made


def test_a_persons_visit_is_an_event() -> None:
    analytic = tracking()
    (began,) = analytic.see(scene(0, sighting(HERE, label="person"), sighting(HERE, 2, "car"))).events
    assert (began.type, began.event_type, began.label, began.data) == ("human_tracking", "human_tracking", "person", {})
    (ended,) = analytic.see(scene(20, left=[gone(5)])).events
    assert (ended.phase, ended.end_seq, ended.data) == ("end", 5, {})
    assert not analytic.need.views


def test_the_probes_are_frames_before_there_is_an_event() -> None:
    assert tracking(probe_count=7).need.rules.min_boxes == 7


def test_where_the_body_was_is_told_at_the_end() -> None:
    analytic = tracking("body_detection")
    (began,) = analytic.see(scene(2, sighting(HERE, label="person", earlier=[(1, HERE)]))).events
    assert "frames_estimations" not in began.data
    analytic.see(scene(3, sighting(HERE, label="person")))
    (ended,) = analytic.close([gone(3)], moment(3))
    assert ended.data["frames_estimations"] == [
        {"time_offset": 0.1, "body": {"rect": RECT, "score": 0.5}},
        {"time_offset": 0.2, "body": {"rect": RECT, "score": 0.8}},
        {"time_offset": 0.3, "body": {"rect": RECT, "score": 0.8}},
    ]
    assert analytic.close([gone(3)], moment(3)) == []


def test_what_is_kept_of_a_visit_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams_proc.analytics.human_tracking.MOST_ESTIMATIONS", 3)
    analytic = tracking("body_detection")
    for seq in range(6):
        analytic.see(scene(seq, sighting(HERE, label="person")))
    assert len(analytic.close([gone(5)], moment(5))[0].data["frames_estimations"]) == 3


def test_the_overview_is_the_whole_picture_of_the_frame() -> None:
    analytic = tracking("overview")
    found = analytic.see(scene(4, sighting(HERE, 1, "person"), sighting(HERE, 2, "person")))
    assert found.overview is not None
    first, second = found.events
    assert first.data["overview"] == {"image": first.data["overview"]["image"], "time_offset": 0.4, "rect": RECT}
    assert str(found.overview) in first.data["overview"]["image"]
    assert second.data["overview"]["image"] == first.data["overview"]["image"]
    assert analytic.see(scene(5, sighting(HERE, 1, "person"))).overview is None, "once a visit"
    (ended,) = analytic.see(scene(30, left=[gone(5, 1)])).events
    assert ended.data["overview"] == first.data["overview"]


def test_an_overview_that_could_not_be_taken_is_none() -> None:
    analytic = tracking("overview")
    (began,) = analytic.see(scene(0, sighting(HERE, label="person"))).events
    key = began.data["overview"]["image"]
    assert without(began, {key}).data["overview"]["image"] is None
    assert without(began, {"other"}) == began
    analytic.forget_pictures({key})
    (ended,) = analytic.close([gone(0)], moment(0))
    assert ended.data["overview"]["image"] is None


def test_the_thumbnail_is_the_best_view() -> None:
    analytic = tracking("aggregated_body_thumbnail")
    assert analytic.need.views
    (began,) = analytic.see(scene(0, sighting(HERE, label="person"), pictures={1: "a"})).events
    assert began.image == "a"


@pytest.mark.parametrize("target", ["face_detection", "head_pose", "aggregated_face_descriptor", "coordinates"])
def test_what_cannot_be_answered_is_refused_with_what_can(target: str) -> None:
    with pytest.raises(InvalidInput, match="body_detection, overview, aggregated_body_thumbnail") as caught:
        tracking(target)
    assert caught.value.field == "targets"
