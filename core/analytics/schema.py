"""What the JSON Schemas of analytics' parameters are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

DRAFT = "https://json-schema.org/draft/2020-12/schema"

ANY = "any"
"""As `labels`: boxes of whatever label are one kind of thing, and that is its label."""

MOST_SHAPES = 100
MOST_POINTS = 100
NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
"""Of a WKT text."""


def object_of(description: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The schema of an analytic's parameters; no others are allowed."""
    return {
        "$schema": DRAFT,
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
        **more,
    }


def fraction(description: str, default: float | None = None) -> dict[str, Any]:
    """A number of 0 to 1."""
    number: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1, "description": description}
    return number if default is None else {**number, "default": default}


def seconds(description: str, default: float, most: float) -> dict[str, Any]:
    """A length of time."""
    return {"type": "number", "minimum": 0, "maximum": most, "description": description, "default": default}


def count(description: str, default: int, least: int = 0, most: int = 10_000) -> dict[str, Any]:
    """A whole number."""
    return {"type": "integer", "minimum": least, "maximum": most, "description": description, "default": default}


def min_score(thing: str) -> dict[str, Any]:
    """The score that a thing must be seen with once, the stage's own where none is given."""
    return fraction(f"score {thing} must be seen with once to count; absent: the setting analyse.min_score")


LABELS: dict[str, Any] = {
    "description": "labels to follow; all of the model's when absent; `any`: boxes of whatever label "
    "that overlap are one thing, and things are counted without their label",
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
}


def following(
    score: dict[str, Any], min_duration_s: float = 0.2, min_boxes: int = 3, max_gap_s: float = 1.5
) -> dict[str, Any]:
    """The parameters of whatever follows things: when a visit begins and when it is over.

    Analytics that follow by the same numbers share their tracks.
    """
    return {
        "min_score": score,
        "min_duration_s": seconds(
            "a thing is a visit once it has been seen for this many seconds", min_duration_s, 60.0
        ),
        "min_boxes": count("and in at least this many frames", min_boxes, 1, 1000),
        "max_gap_s": seconds("a visit lasts on while its thing is missed for less than this", max_gap_s, 600.0),
        "embeddings": {
            "type": "boolean",
            "default": True,
            "description": "take pictures of each visit and make them searchable by likeness",
        },
    }


_EDGE = {"type": "number", "minimum": 0, "maximum": 65_536}
REGION: dict[str, Any] = {
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
    "description": "the part of the picture that counts; the whole picture when it is absent, null, or 0 by 0",
}
POLYGON: dict[str, Any] = {
    "type": "string",
    "maxLength": 10_000,
    "pattern": rf"^\s*(?:POLYGON|Polygon|polygon)\s*\(\(\s*{NUMBER}\s+{NUMBER}\s*"
    rf"(?:,\s*{NUMBER}\s+{NUMBER}\s*){{2,}}\)\)\s*$",
    "description": "a WKT polygon without holes in pixels of the upright video, "
    "such as POLYGON ((0 0, 640 0, 320 480))",
}
_COORDINATE = {"type": "number", "minimum": -65_536, "maximum": 65_536}
_POINT: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "items": _COORDINATE, "minItems": 2, "maxItems": 2},
        {
            "type": "object",
            "properties": {"x": _COORDINATE, "y": _COORDINATE},
            "required": ["x", "y"],
            "additionalProperties": False,
        },
    ]
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 100, "description": "by which events name it"}
_MODE = {
    "enum": ["relative", "abs", "percent"],
    "default": "relative",
    "description": "what points are measured in: 0..1 of the upright video's width and height, its pixels, "
    "or hundredths",
}


def lines(default: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Named lines of two or more points."""
    line = {
        "type": "object",
        "properties": {
            "name": _NAME,
            "points": {"type": "array", "items": _POINT, "minItems": 2, "maxItems": MOST_POINTS},
            "mode": _MODE,
            "sides": {
                "enum": ["up_down", "left_right", "in_out"],
                "default": "up_down",
                "description": "how directions are called; `in` is to the right of whoever goes "
                "from the first point to the last",
            },
            "count": {
                "type": "array",
                "items": {"enum": ["up", "down", "left", "right", "in", "out"]},
                "minItems": 1,
                "uniqueItems": True,
                "description": "the directions that are counted; both when absent",
            },
        },
        "required": ["name", "points"],
        "additionalProperties": False,
    }
    return _shapes(line, default)


def zones(default: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Named polygons."""
    zone = {
        "type": "object",
        "properties": {
            "name": _NAME,
            "points": {"type": "array", "items": _POINT, "minItems": 3, "maxItems": MOST_POINTS},
            "mode": _MODE,
        },
        "required": ["name", "points"],
        "additionalProperties": False,
    }
    return _shapes(zone, default)


def _shapes(shape: dict[str, Any], default: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "array", "items": shape, "minItems": 1, "maxItems": MOST_SHAPES, "default": list(default)}


WHOLE_PICTURE = {"name": "picture", "points": [[0, 0], [1, 0], [1, 1], [0, 1]], "mode": "relative"}
"""The zone where none is given."""

HYSTERESIS = {
    **fraction(
        "how far beyond a border a thing must be, in parts of the picture's long side, before it has passed it: "
        "what trembles on a border passes it once",
        0.02,
    ),
    "maximum": 0.5,
}

COMMON: dict[str, Any] = {
    "roi": {"anyOf": [REGION, {"type": "null"}]},
    "droi": {"anyOf": [REGION, POLYGON, {"type": "null"}]},
    "event_policy": {
        "type": "object",
        "properties": {
            "trigger": {"enum": ["start", "end", "period"]},
            "interval": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400},
            "min_duration": {"type": "number", "minimum": 0, "maximum": 86_400},
        },
        "additionalProperties": False,
        "description": "when callbacks are made; the event itself has its begin, updates and end",
    },
}
"""Parameters that every analytic has; a thing counts while its box's middle lies in `roi` and in `droi`."""
