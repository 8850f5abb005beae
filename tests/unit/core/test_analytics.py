"""A submission is checked against the registry where it enters."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from core.analytics import REGISTRY, accepted, needs_faces, validate
from core.errors import InvalidInput
from core.messages import Analytic


@pytest.mark.parametrize("name", REGISTRY)
def test_every_default_is_valid(name: str) -> None:
    declared = REGISTRY[name]
    Draft202012Validator.check_schema(dict(declared.parameters))
    whole = validate(Analytic(name))
    assert whole.parameters == declared.defaults
    assert validate(whole) == whole


def test_defaults_are_filled_in_at_every_level() -> None:
    whole = validate(Analytic("people_count", {"roi": {"width": 10, "height": 5}, "rate": {"period": 2}}))
    assert whole.parameters["roi"] == {"x": 0, "y": 0, "width": 10, "height": 5, "mode": "abs"}
    assert whole.parameters["rate"] == {"period": 2, "unit": "second"}
    assert whole.parameters["probe_count"] == 3
    assert validate(Analytic("people_count", {"roi": None})).parameters["roi"] is None


def test_what_an_older_version_let_stand_is_no_reason_to_refuse_what_it_accepted() -> None:
    stored = Analytic(
        "people_count",
        {
            "image_retain_policy": {"size": 640, "quality": 0.5},
            "event_policy": {"trigger": "end", "interval": 100_000, "x": 1},
            "roi": {"width": 10, "height": 5},
        },
    )
    with pytest.raises(InvalidInput):
        validate(stored)
    asked = Analytic("people_count", {"image_retain_policy": {"quality": 0.5}, "roi": stored.parameters["roi"]})
    assert accepted(stored) == validate(asked)
    with pytest.raises(InvalidInput, match="labls"):
        accepted(Analytic("object_detection", {"labls": ["car"]}))


def test_a_default_is_nobodys_to_change() -> None:
    validate(Analytic("people_count")).parameters["rate"]["period"] = 99
    assert validate(Analytic("people_count")).parameters["rate"] == {"period": 1, "unit": "frame"}


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("object_detection", {"labels": "all"}, "parameters.labels"),
        ("object_detection", {"labels": []}, "parameters.labels"),
        ("object_detection", {"labels": ["car", "car"]}, "parameters.labels"),
        ("object_detection", {"labels": ["car", 3]}, "parameters.labels.1"),
        ("object_detection", {"min_score": 1.5}, "parameters.min_score"),
        ("object_detection", {"max_gap_s": -1}, "parameters.max_gap_s"),
        ("object_detection", {"labls": ["car"]}, "parameters"),
        ("people_count", {"roi": {"width": -1, "height": 5}}, "parameters.roi.width"),
        ("people_count", {"droi": "CIRCLE (1 1)"}, "parameters.droi"),
        ("people_count", {"rate": {"period": 0}}, "parameters.rate.period"),
        ("people_count", {"people_count_threshold": 1, "people_count__lte": 2}, "parameters"),
        ("people_count", {"people_count_threshold": 1, "people_count__gte": 2}, "parameters"),
        ("face_detection", {"min_boxes": 0}, "parameters.min_boxes"),
    ],
)
def test_what_is_wrong_is_named(name: str, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate(Analytic(name, parameters))
    assert caught.value.field == field
    assert str(caught.value)


def test_forms_that_exclude_each_other_are_said_so() -> None:
    with pytest.raises(InvalidInput, match="may not stand beside"):
        validate(Analytic("people_count", {"people_count_threshold": 1, "people_count__lte": 2}))


def test_unknown_analytics_and_targets_are_refused() -> None:
    with pytest.raises(InvalidInput, match="object_detection") as unknown:
        validate(Analytic("fire"))
    assert unknown.value.field == "name"
    with pytest.raises(InvalidInput, match="overview") as target:
        validate(Analytic("people_count", targets=("faces",)))
    assert target.value.field == "targets"
    with pytest.raises(InvalidInput, match="none"):
        validate(Analytic("face_detection", targets=("overview",)))


def test_faces_are_looked_for_when_an_analytic_needs_them() -> None:
    assert needs_faces((Analytic("object_detection"), Analytic("face_detection")))
    assert not needs_faces((Analytic("object_detection"), Analytic("of another version")))
