"""The analytics that a stream may ask for: what each is called and what may be configured.

Only declarations live here, so that a submission can be checked where it enters; what an analytic
does with a frame is `streams_proc.analytics`, under the same ids (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from core.errors import InvalidInput
from core.messages import Analytic

ANY = "any"
"""As `labels`: boxes of whatever label are one kind of thing, and that is its label."""

DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One analytic of the registry.

    Attributes:
        id: its name in `Analytic.name`, in events' `type` and in their CloudEvents type.
        version: raised when the same parameters would find something else.
        description: one sentence for people.
        parameters: JSON Schema (draft 2020-12) of `Analytic.parameters`; every default in it is
            filled in by `validate`.
        targets: what may stand in `Analytic.targets`.
        event_type: `Event.event_type` of its events.
        faces: it needs faces looked for in each frame.
        objects: it needs objects looked for in each frame.
    """

    id: str
    version: int
    description: str
    parameters: Mapping[str, Any]
    event_type: str
    targets: tuple[str, ...] = ()
    faces: bool = False
    objects: bool = True
    validator: Draft202012Validator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Draft202012Validator.check_schema(dict(self.parameters))
        object.__setattr__(self, "validator", Draft202012Validator(dict(self.parameters)))

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters that an empty configuration stands for."""
        return _filled(self.parameters, {})


def _object(description: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "$schema": DRAFT,
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
        **more,
    }


def _fraction(description: str, default: float | None = None) -> dict[str, Any]:
    number: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1, "description": description}
    return number if default is None else {**number, "default": default}


def _seconds(description: str, default: float, most: float) -> dict[str, Any]:
    return {"type": "number", "minimum": 0, "maximum": most, "description": description, "default": default}


def _count(description: str, default: int, least: int = 0, most: int = 10_000) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most, "description": description, "default": default}


def _following(min_score: dict[str, Any], min_duration_s: float, min_boxes: int, max_gap_s: float) -> dict[str, Any]:
    """The parameters of whatever follows things: when a visit begins and when it is over."""
    return {
        "min_score": min_score,
        "min_duration_s": _seconds(
            "a thing is a visit once it has been seen for this many seconds", min_duration_s, 60.0
        ),
        "min_boxes": _count("and in at least this many frames", min_boxes, 1, 1000),
        "max_gap_s": _seconds("a visit lasts on while its thing is missed for less than this", max_gap_s, 600.0),
        "embeddings": {
            "type": "boolean",
            "default": True,
            "description": "take pictures of each visit and make them searchable by likeness",
        },
    }


_EDGE = {"type": "number", "minimum": 0, "maximum": 65_536}
_REGION = {
    "type": "object",
    "properties": {
        "x": {**_EDGE, "default": 0},
        "y": {**_EDGE, "default": 0},
        "width": _EDGE,
        "height": _EDGE,
        "mode": {
            "enum": ["abs", "percent"],
            "default": "abs",
            "description": "pixels of the upright video, or hundredths of its width and height",
        },
    },
    "required": ["width", "height"],
    "additionalProperties": False,
    "description": "the part of the picture that counts; the whole picture when it is absent or null",
}
_POLYGON = {
    "type": "string",
    "maxLength": 10_000,
    "pattern": r"^\s*POLYGON\s*\(\(\s*-?[\d.]+\s+-?[\d.]+\s*(,\s*-?[\d.]+\s+-?[\d.]+\s*){2,}\)\)\s*$",
    "description": "a WKT polygon in pixels of the upright video, such as POLYGON ((0 0, 640 0, 320 480))",
}

OBJECT_DETECTION = Declaration(
    id="object_detection",
    version=1,
    description="One event for each visit of an object: when it came, when it went, its best picture.",
    event_type="object",
    parameters=_object(
        "Which objects are followed, and what makes a visit.",
        {
            "labels": {
                "description": "labels to follow; all of the model's when absent; `any`: boxes of whatever label "
                "that overlap are one thing, and visits are counted without their label",
                "oneOf": [
                    {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1, "maxLength": 100},
                        "minItems": 1,
                        "maxItems": 1000,
                        "uniqueItems": True,
                    },
                    {"const": ANY},
                ],
            },
            **_following(
                _fraction("score a thing must be seen with once to be a visit; absent: the setting analyse.min_score"),
                min_duration_s=0.2,
                min_boxes=3,
                max_gap_s=1.5,
            ),
        },
    ),
)

PEOPLE_COUNT = Declaration(
    id="people_count",
    version=1,
    description="An event while the number of people in the picture, or a part of it, is as described.",
    event_type="crowd",
    targets=("coordinates", "overview"),
    parameters=_object(
        "When a number of people is an event: more than `people_count_threshold`; or, in the other form, at most "
        "`people_count__lte`, at least `people_count__gte`, or with both: within them where gte <= lte, "
        "outside of them where lte < gte.",
        {
            "people_count_threshold": {
                "type": "integer",
                "minimum": 0,
                "maximum": 100_000,
                "description": "an event is while more people than this are seen; 0 where no form is given",
            },
            "people_count__lte": {"type": "integer", "minimum": 0, "maximum": 100_000},
            "people_count__gte": {"type": "integer", "minimum": 0, "maximum": 100_000},
            "probe_count": _count("consecutive estimations that begin, or end, an event", 3, 1, 1000),
            "event_delay": _seconds("seconds the number must hold before the event begins", 0.0, 86_400.0),
            "rate": {
                "type": "object",
                "properties": {
                    "period": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400},
                    "unit": {"enum": ["frame", "second"], "default": "second"},
                },
                "required": ["period"],
                "additionalProperties": False,
                "default": {"period": 1, "unit": "frame"},
                "description": "how often the people are counted",
            },
            "roi": {"anyOf": [_REGION, {"type": "null"}]},
            "droi": {"anyOf": [_REGION, _POLYGON, {"type": "null"}]},
            "min_score": _fraction(
                "score a person must be seen with once to count; absent: the setting analyse.min_score"
            ),
            "event_policy": {
                "type": "object",
                "properties": {
                    "trigger": {"enum": ["start", "end", "period"]},
                    "interval": {"type": "number", "exclusiveMinimum": 0},
                },
                "description": "when callbacks are made; the event itself has its begin, updates and end",
            },
            "image_retain_policy": {
                "type": "object",
                "properties": {
                    "mimetype": {"enum": ["PNG", "JPEG"]},
                    "quality": {"type": "number", "minimum": 0, "maximum": 1},
                    "max_size": {"type": "integer", "minimum": 0},
                    "ttl": {"type": "integer", "minimum": -1},
                },
                "description": "how the overview's picture is kept",
            },
        },
        **{
            "not": {
                "description": "people_count_threshold may not stand beside people_count__lte or people_count__gte",
                "anyOf": [
                    {"required": ["people_count_threshold", "people_count__lte"]},
                    {"required": ["people_count_threshold", "people_count__gte"]},
                ],
            }
        },
    ),
)

FACE_DETECTION = Declaration(
    id="face_detection",
    version=1,
    description="One event for each face's visit, with its best picture and a searchable embedding.",
    event_type="face",
    faces=True,
    objects=False,
    parameters=_object(
        "What makes a face's visit.",
        _following(_fraction("score a face must be seen with once to be a visit", 0.6), 0.2, 3, 1.5),
    ),
)

REGISTRY: Mapping[str, Declaration] = MappingProxyType(
    {declared.id: declared for declared in (OBJECT_DETECTION, PEOPLE_COUNT, FACE_DETECTION)}
)
"""Every analytic, by its id."""


def validate(analytic: Analytic) -> Analytic:
    """`analytic` with its defaults filled in.

    Raises:
        InvalidInput: no such analytic, target or parameter, or a value that is not allowed; the
            field is a dotted path such as ``parameters.roi.width``.
    """
    declared = REGISTRY.get(analytic.name)
    if declared is None:
        raise InvalidInput(f"no analytic {analytic.name!r}; there are {', '.join(REGISTRY)}", "name")
    for target in analytic.targets:
        if target not in declared.targets:
            allowed = ", ".join(declared.targets) or "none"
            raise InvalidInput(f"no target {target!r}; {analytic.name} has {allowed}", "targets")
    error = best_match(declared.validator.iter_errors(analytic.parameters))
    if error is not None:
        raise InvalidInput(_sentence(error), _path(error))
    return msgspec.structs.replace(analytic, parameters=_filled(declared.parameters, analytic.parameters))


def needs_faces(analytics: tuple[Analytic, ...]) -> bool:
    """Whether any of `analytics` looks at faces; unknown ones do not."""
    return any(a.name in REGISTRY and REGISTRY[a.name].faces for a in analytics)


def _path(error: ValidationError) -> str:
    return ".".join(["parameters", *map(str, error.absolute_path)])


def _sentence(error: ValidationError) -> str:
    """The validator's own words, but for what is forbidden together, which the schema says better."""
    rule = error.validator_value
    return str(rule["description"]) if error.validator == "not" and isinstance(rule, dict) else error.message


def _filled(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the defaults of `schema` at every level that is present."""
    whole = dict(given)
    for name, sub in schema.get("properties", {}).items():
        if name not in whole:
            if "default" in sub:
                whole[name] = msgspec.to_builtins(sub["default"])
        elif isinstance(whole[name], dict):
            for variant in _variants(sub):
                whole[name] = _filled(variant, whole[name])
    return whole


def _variants(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The object schemas that a value of `schema` may be of."""
    if schema.get("type") == "object":
        yield schema
    yield from (variant for variant in schema.get("anyOf", ()) if variant.get("type") == "object")
