"""Lines, zones and regions in parameters."""

from __future__ import annotations

from typing import Any

import pytest

from core.analytics import BUILT_IN, REGISTRY, validate
from core.analytics.shapes import located, points_of, region_corners, relative
from core.errors import InvalidInput
from core.messages import Analytic, Schedule

TRIANGLE = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]


def line(**more: Any) -> dict[str, Any]:
    return {"lines": [{"name": "a", "points": [[0, 0.5], [1, 0.5]], **more}]}


def zone(points: Any, **more: Any) -> dict[str, Any]:
    return {"zones": [{"name": "a", "points": points, **more}]}


def test_points_are_pairs_or_objects() -> None:
    assert points_of([[1, 2], {"x": 3, "y": 4.5}]) == ((1.0, 2.0), (3.0, 4.5))


def test_points_become_parts_of_the_picture() -> None:
    assert relative([(960.0, 540.0)], "abs", 1920, 1080) == ((0.5, 0.5),)
    assert relative([(50.0, 25.0)], "percent", 1920, 1080) == ((0.5, 0.25),)
    assert relative([(0.5, 0.25)], "relative", 1920, 1080) == ((0.5, 0.25),)
    assert relative([(960.0, 540.0)], "abs", 0, 0) == ((960.0, 540.0),), "nothing lies there"


def test_lines_and_zones_are_located_and_the_rest_is_left() -> None:
    whole = validate(Analytic("line_crossing", line(points=[{"x": 0, "y": 540}, [1920, 540]], mode="abs"))).parameters
    found = located(whole, 1920, 1080)
    assert found["lines"] == [{"name": "a", "points": ((0.0, 0.5), (1.0, 0.5)), "mode": "relative", "sides": "up_down"}]
    assert {name: value for name, value in found.items() if name != "lines"} == {
        name: value for name, value in whole.items() if name != "lines"
    }
    assert whole["lines"][0]["mode"] == "abs", "what was asked for stays as it was"
    assert located({"lines": ["of somebody else's"], "zones": []}, 1, 1) == {
        "lines": ["of somebody else's"],
        "zones": [],
    }


def test_defaults_are_filled_in_within_lists() -> None:
    whole = validate(Analytic("zone_dwell", zone(TRIANGLE))).parameters
    assert whole["zones"] == [{"name": "a", "points": TRIANGLE, "mode": "relative"}]


def test_regions_are_rectangles_polygons_or_the_whole_picture() -> None:
    whole = validate(Analytic("intrusion", {"roi": {"width": 10, "height": 20}})).parameters
    assert region_corners(whole["roi"]) == (((0, 0), (10, 0), (10, 20), (0, 20)), "abs")
    assert region_corners("POLYGON ((0 0, 10.5 0, .5 20, 0 0))") == (((0.0, 0.0), (10.5, 0.0), (0.5, 20.0)), "abs")
    assert region_corners(None) is None
    nothing = validate(Analytic("intrusion", {"roi": {"width": 0, "height": 0}})).parameters
    assert region_corners(nothing["roi"]) is None


@pytest.mark.parametrize("name", [declared.id for declared in BUILT_IN])
def test_all_analytics_have_regions_and_a_policy(name: str) -> None:
    properties = REGISTRY[name].parameters["properties"]
    assert {"roi", "droi", "event_policy"} <= properties.keys()
    with pytest.raises(InvalidInput) as caught:
        validate(Analytic(name, {"roi": {"width": 10, "height": 0}}))
    assert caught.value.field == "parameters.roi"
    with pytest.raises(InvalidInput) as late:
        validate(Analytic(name, schedules=(Schedule(end="26:00"),)))
    assert late.value.field == "schedules.0.end"


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("line_crossing", {"lines": []}, "parameters.lines"),
        ("line_crossing", line(points=[[0, 0.5]]), "parameters.lines.0.points"),
        ("line_crossing", line(points=[[0, 0.5], [0, 0.5]]), "parameters.lines.0.points"),
        ("line_crossing", line(points=[[0, 0.5], [1.5, 0.5]]), "parameters.lines.0.points"),
        ("line_crossing", line(points=[[0, 50], [101, 50]], mode="percent"), "parameters.lines.0.points"),
        ("line_crossing", line(points=[[0, 0.5], [1]]), "parameters.lines.0.points.1"),
        ("line_crossing", line(mode="pixels"), "parameters.lines.0.mode"),
        ("line_crossing", line(points=[[0.5, 0], [0.5, 1]]), "parameters.lines.0.sides"),
        ("line_crossing", line(sides="left_right"), "parameters.lines.0.sides"),
        ("line_crossing", line(count=["in"]), "parameters.lines.0.count"),
        ("line_crossing", line(count=[]), "parameters.lines.0.count"),
        ("line_crossing", line(name=""), "parameters.lines.0.name"),
        ("line_crossing", {"lines": line()["lines"] * 2}, "parameters.lines.1.name"),
        ("line_crossing", {"hysteresis": 0.6}, "parameters.hysteresis"),
        ("zone_dwell", zone(TRIANGLE[:2]), "parameters.zones.0.points"),
        ("zone_dwell", zone([[0, 0], [0.5, 0.5], [1, 1]]), "parameters.zones.0.points"),
        ("zone_dwell", zone([[0, 0], [640, 0], [320, 480]]), "parameters.zones.0.points"),
        ("zone_dwell", {"min_dwell_s": -1}, "parameters.min_dwell_s"),
        ("intrusion", {"zones": zone(TRIANGLE)["zones"] * 2}, "parameters.zones.1.name"),
        ("intrusion", {"droi": "POLYGON ((0 0, 1.2.3 4, 5 6))"}, "parameters.droi"),
        ("intrusion", {"droi": "POLYGON ((0 0, . ., 5 6))"}, "parameters.droi"),
        ("intrusion", {"droi": "POLYGON ((0 0, 1 1, 2 2))"}, "parameters.droi"),
        ("intrusion", {"droi": "POLYGON ((0 0, 9 0, 9 9), (1 1, 2 1, 2 2))"}, "parameters.droi"),
        ("intrusion", {"roi": {"x": 50, "width": 150, "height": 10, "mode": "percent"}}, "parameters.roi"),
        ("human_tracking", {"labels": ["car"]}, "parameters"),
    ],
)
def test_what_is_wrong_is_named(name: str, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate(Analytic(name, parameters))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "parameters",
    [
        line(points=[[0.5, 0], [0.5, 1]], sides="left_right", count=["left"]),
        line(points=[[0.5, 0], [0.5, 1]], sides="in_out"),
        line(points=[[0, 0.2], [0.4, 0.6], [1, 0.2]]),
        line(points=[[0, 540], [1920, 540]], mode="abs"),
    ],
)
def test_lines_of_every_kind_are_valid(parameters: dict[str, Any]) -> None:
    whole = validate(Analytic("line_crossing", parameters))
    assert validate(whole) == whole


@pytest.mark.parametrize("name", [declared.id for declared in BUILT_IN])
def test_presets_are_valid_and_rules_are_part_of_the_schema(name: str) -> None:
    declared = REGISTRY[name]
    for parameters in declared.presets.values():
        assert declared.complete(parameters).items() >= dict(parameters).items()
    assert declared.rules["properties"].items() <= declared.parameters["properties"].items()
    assert declared.rules["properties"]
    assert (declared.event_type, declared.publisher) == (declared.event_types[0], "Sightline")
    assert declared.name[0].isupper()
